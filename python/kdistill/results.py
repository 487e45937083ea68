"""What the library tells, as data classes.

Made by python/generate.py from the headers: do not edit.
"""
from __future__ import annotations

from dataclasses import dataclass

from .enums import (
    Align,
    DType,
    Gemm,
    Isa,
    OutputUnit,
    PlanAdvice,
    Products,
)

__all__ = [
    "AnswersProgress",
    "AnswersResult",
    "AudioInfo",
    "AugmentCounts",
    "ContextInfo",
    "Difference",
    "ExchangeInfo",
    "GeneratorInfo",
    "GgufInfo",
    "ImportCounts",
    "Latency",
    "LatticeInfo",
    "LossDiagnostics",
    "LossResult",
    "Metric",
    "ModelInfo",
    "ModelMemoryInfo",
    "OptimizerInfo",
    "OutputInfo",
    "PackerInfo",
    "PassAtK",
    "PlanInfo",
    "PlanMachine",
    "PseudoLabelCounts",
    "RecordCounts",
    "Speed",
    "StoreInfo",
    "StoreRecord",
    "TokenizerInfo",
]


@dataclass(frozen=True)
class ContextInfo:
    """What `kd_context_info` tells."""

    threads: int
    #: the instruction set in use
    isa: Isa
    #: Gemm.BLAS or Gemm.OWN: who computes products
    gemm: Gemm
    #: what BLAS uses now; 0 if it does not say
    blas_threads: int
    #: 1: BLAS runs kernels for an older processor than this one
    blas_is_slow: int
    #: 1: the same bits for any number of the library's threads
    deterministic: int
    seed: int
    #: calls to the allocator so far
    allocations: int
    #: currently held through the context's allocator
    bytes: int
    peak_bytes: int
    #: "OpenBLAS 0.3.21 ..."
    blas: str
    #: "SkylakeX", "Prescott", "unknown"
    blas_kernels: str
    #: what to do when blas_is_slow, else ""
    blas_remedy: str
    #: in use: Products.FLOAT32 or Products.BFLOAT16
    matmul_precision: Products


@dataclass(frozen=True)
class PseudoLabelCounts:
    """What `kd_pseudo_label_counts` tells."""

    classes: int
    #: samples examined
    seen: int
    #: dropped by confidence
    below_threshold: int
    #: dropped by per_class or balance
    over_balance: int
    #: dropped: the teacher has no answer for them
    without_teacher: int
    kept: int


@dataclass(frozen=True)
class ModelMemoryInfo:
    """What `kd_model_memory_info` tells."""

    #: numbers
    parameters: int
    parameter_bytes: int
    #: 0 for a frozen model
    gradient_bytes: int
    #: for max_rows rows: outputs (those of options->keep too, with the heads that it names), their
    #: gradients, masks, scratch; 8-bit copies of weights
    activation_bytes: int
    #: what create, forward and backward ask the allocator for; a language model's complete logits
    #: and a loss's memory (kd_loss_estimate_memory) are extra
    total_bytes: int


@dataclass(frozen=True)
class OutputInfo:
    """What `kd_output_info` tells."""

    #: OutputUnit.ROW or OutputUnit.SAMPLE
    unit: OutputUnit
    #: DType.FLOAT32
    dtype: DType
    #: 1: evaluating passes keep it
    is_kept: int
    #: numbers a row (or sample)
    width: int
    row_bytes: int


@dataclass(frozen=True)
class ModelInfo:
    """What `kd_model_info` tells."""

    layers: int
    #: distinct numbers
    parameters: int
    #: used by one token: without the embedding rows of other tokens; repeated layers count each
    #: time
    active_parameters: int
    #: parameters (packed_only: as they are kept) and, if it trains, gradients
    memory_bytes: int
    #: of the parameters, on disk or mapped
    float32_bytes: int
    #: of the parameters, on disk or mapped
    float16_bytes: int
    #: of the parameters, on disk or mapped
    int8_bytes: int


@dataclass(frozen=True)
class LossResult:
    """What `kd_loss_result` tells."""

    terms: int
    #: sum over terms of weight * sum / denominator
    value: float
    #: with T^2 and row weights, without the term's weight
    sum: tuple[float, ...]
    #: rows in the sum
    rows: tuple[int, ...]
    #: non-finite rows left out (Nonfinite.SKIP)
    skipped: tuple[int, ...]
    #: heads: share of the logit gradient's blocks that were skipped
    skipped_share: float
    #: bound on the error of the head's gradient (Frobenius norm)
    dw_error_bound: float
    #: the same for the gradient of the hidden states
    dh_error_bound: float


@dataclass(frozen=True)
class LossDiagnostics:
    """What `kd_loss_diagnostics` tells."""

    rows: int
    #: skipped rows: mask, absent or ignored label, absent teacher
    masked: int
    #: rows skipped as non-finite
    skipped: int
    #: times a numeric guard (log_floor) was hit
    guards: int
    #: mean log p_y, T = 1, rows with a label: shows an off-by-one
    teacher_log_likelihood: float
    #: share of these rows whose argmax is the label
    teacher_accuracy: float
    #: share of rows where student and teacher have the same argmax
    agreement: float
    #: means, of p and q at the term's temperature
    teacher_entropy: float
    #: means, of p and q at the term's temperature
    student_entropy: float
    #: mean masses on stored ids; 1 for dense teachers
    captured_mass: float
    #: mean masses on stored ids; 1 for dense teachers
    student_mass: float
    #: mean loss on stored ids, and outside
    head_loss: float
    #: mean loss on stored ids, and outside
    tail_loss: float
    #: rows whose teacher was corrected or dropped because of the label
    corrected: int
    #: entries that an ensemble filled from a record's tail
    borrowed: int
    #: mean of the gate max(p)^gamma; 1 without a gate
    confidence: float
    #: rows examined by the check that is always on: see docs/losses.md
    sampled: int
    #: the teacher's means there
    sampled_log_likelihood: float
    #: the teacher's means there
    sampled_entropy: float
    #: 1: it warned
    suspect: int
    #: Features, and terms of two sides: feature.h and contrast.h tell each. NaN of other terms.
    student_norm: float
    #: Features, and terms of two sides: feature.h and contrast.h tell each. NaN of other terms.
    teacher_norm: float
    #: Features, and terms of two sides: feature.h and contrast.h tell each. NaN of other terms.
    cosine: float
    #: calls of the term that had too few rows for a relation
    degenerate: int
    #: of two sides
    in_batch_accuracy: float
    #: of two sides
    positive_rank: float
    #: of two sides
    scale: float
    student_pair_cosine: float
    teacher_pair_cosine: float
    explained: float
    student_effective_rank: float
    teacher_effective_rank: float
    #: of two sides
    alignment: float
    #: of two sides
    uniformity: float
    #: of two sides
    modality_gap: float


@dataclass(frozen=True)
class OptimizerInfo:
    """What `kd_optimizer_info` tells."""

    #: 1: the last step was skipped as non-finite
    last_skipped: int
    #: steps taken, not counting skipped ones
    steps: int
    skipped: int
    #: steps whose norm was clipped
    clipped: int
    #: global norm of the last step's gradient, after scaling, before clipping
    gradient_norm: float


@dataclass(frozen=True)
class ExchangeInfo:
    """What `kd_exchange_info` tells."""

    rank: int
    ranks: int
    #: rank that the others waited for most in the last step; -1: none yet
    slowest: int
    #: of one step
    buckets: int
    #: of the optimizer's state on this rank
    state_bytes: int
    #: of what travels; 0 where there is one rank
    buffer_bytes: int
    #: by this rank, since the exchange was made
    sent_bytes: int
    #: of these: left during a backward pass
    early_bytes: int
    #: in kd_exchange_step and, during backward passes, in the exchange
    seconds: float
    #: of these: waiting for other ranks
    waited_seconds: float


@dataclass(frozen=True)
class Metric:
    """What `kd_metric` tells."""

    value: float
    #: shares: binomial; means: of the mean; macro-F1 and ECE: bootstrap; NaN if unknown
    standard_error: float
    #: 95 % interval: Wilson for shares, normal for means, percentiles for bootstrap
    low: float
    #: 95 % interval: Wilson for shares, normal for means, percentiles for bootstrap
    high: float
    #: counted
    rows: int


@dataclass(frozen=True)
class Latency:
    """What `kd_latency` tells."""

    batch_size: int
    runs: int
    #: seconds per forward pass
    mean: float
    #: seconds per forward pass
    p50: float
    #: seconds per forward pass
    p90: float
    #: seconds per forward pass
    p99: float
    #: seconds per forward pass
    min: float
    #: batch_size / p50
    samples_per_second: float


@dataclass(frozen=True)
class StoreInfo:
    """What `kd_store_info` tells."""

    shards: int
    #: readable: the last committed of each key and view
    records: int
    #: older ones of the same key and view
    replaced: int
    positions: int
    #: of the files
    bytes: int
    #: after the last complete record
    torn_bytes: int
    #: stretches that are not records and were skipped
    damaged: int
    vocabulary: int
    temperature: float
    align: Align
    fields: int


@dataclass(frozen=True)
class StoreRecord:
    """What `kd_store_record` tells."""

    shard: int
    key: tuple[int, int]
    view: int
    first: int
    positions: int
    bytes: int
    offset: int


@dataclass(frozen=True)
class TokenizerInfo:
    """What `kd_tokenizer_info` tells."""

    #: its id; -1: none
    padding_token: int
    #: the type of padding tokens
    padding_type: int
    #: of a text, TextFlag.ADD_SPECIAL included; 0: no cut
    max_tokens: int
    #: that each text is padded to; 0: to the longest; -1: no padding
    padding_tokens: int


@dataclass(frozen=True)
class GeneratorInfo:
    """What `kd_generator_info` tells."""

    #: tokens per cache block
    block_tokens: int
    #: of keys and values
    cache_bytes: int
    cache_tokens: int
    #: of weights besides the model's own; 0: none
    weight_bytes: int
    #: computed so far
    prompt_tokens: int
    #: of prompts, reused instead of computed
    shared_tokens: int
    #: generated so far
    tokens: int
    steps: int
    #: that drafts take at most besides: the draft's cache, weights, rows
    draft_bytes: int
    #: tokens proposed so far
    drafted: int
    #: of them, those that the model wrote as well
    accepted: int
    #: tokens a second of the last steps with proposals over those without; NaN: not known
    draft_gain: float


@dataclass(frozen=True)
class Speed:
    """What `kd_speed` tells."""

    sequences: int
    prompt_tokens_per_second: float
    #: of all sequences together, from the first token of the last sequence; NaN if new_tokens is 1
    tokens_per_second: float
    #: seconds from the prompts to the last sequence's first token
    time_to_first_token: float
    #: seconds per step: the time between two tokens of a sequence
    token_p50: float
    #: seconds per step: the time between two tokens of a sequence
    token_p99: float
    #: of the weights in use; 8-bit ones with their scales
    parameter_bytes: int
    #: keys and values
    cache_bytes: int
    #: the most that the context's allocator held meanwhile, everything in the context included
    peak_bytes: int


@dataclass(frozen=True)
class LatticeInfo:
    """What `kd_lattice_info` tells."""

    matrices: int
    #: of theirs
    numbers: int
    #: for each of them
    bits: float
    #: root of the mean squared difference to the float32 numbers, over these
    error: float
    #: share of numbers with another code than at the last call; 0 at the first: training that
    #: swings over thresholds shows here
    changed_share: float
    #: of numbers beyond their block's ends, whose gradient is 0
    clipped_share: float


@dataclass(frozen=True)
class GgufInfo:
    """What `kd_gguf_info` tells."""

    #: matrices that got another format because their rows are no multiple of 256, or of 32
    fallbacks: int
    #: the model's name of the first of them, as long as the model lives; None: there is none
    fallback: str
    #: its formats: what it should have got, and what it got
    wanted: int
    #: its formats: what it should have got, and what it got
    used: int
    #: of all tensors in the file
    bytes: int
    #: for each number of a matrix
    bits: float
    #: root of the mean squared error of the matrices, over their own
    error: float
    #: blocks so small that their float16 scale is 0, and all became 0
    vanished: int


@dataclass(frozen=True)
class RecordCounts:
    """What `kd_record_counts` tells."""

    #: opened so far
    files: int
    #: read so far, in all files
    lines: int
    records: int
    #: lines with only white space
    empty: int
    bad: int
    #: in its file; 0: none
    first_bad_line: int
    bytes: int
    #: truncated, damaged, or of another kind: read up to that point
    broken_files: int
    #: members that would change what is learned, kept or left out according to the options
    unsupported: int
    #: unknown members of turns, kept or left out
    unknown: int
    #: records of other parts (kd_record_options.parts)
    other_parts: int


@dataclass(frozen=True)
class PassAtK:
    """What `kd_pass_at_k` tells."""

    samples: int
    questions: int
    #: mean over samples, then questions
    pass_1: float
    #: of pass_1: sqrt(var(p_i) / Q), p_i the share of right samples of question i; covers the draw
    #: of questions and of samples
    standard_error: float
    #: the samples' part alone: sqrt(sum p_i (1 - p_i) / (n - 1)) / Q; 0 for one sample
    within_error: float
    #: 1 - C(n - c, k) / C(n, k), mean over questions: unbiased [Chen et al. 2021, eq. 1]
    pass_k: float


@dataclass(frozen=True)
class AnswersProgress:
    """What `kd_answers_progress` tells."""

    #: answers; total -1: unknown
    done: int
    #: answers; total -1: unknown
    total: int
    #: made by this call
    tokens: int
    #: of this call's answers, if `verify` is set
    right: int
    seconds: float
    tokens_per_second: float
    #: NaN: unknown
    seconds_left: float


@dataclass(frozen=True)
class AnswersResult:
    """What `kd_answers_result` tells."""

    #: answers per prompt
    samples: int
    questions: int
    #: pass@1 with its errors, pass@k
    pass_: PassAtK
    #: cons@k: share of prompts whose most frequent answer (the first on a tie) is right
    consensus: float
    #: share of answers without the format of `verify`
    format_errors: float
    #: share of answers that were truncated
    unfinished: float
    #: over all answers
    mean_bytes: float
    #: over right answers; NaN: none
    mean_right_bytes: float


@dataclass(frozen=True)
class ImportCounts:
    """What `kd_import_counts` tells."""

    lines: int
    records: int
    positions: int
    entries: int
    #: strings without an id: their mass goes to the tail
    unmapped: int
    #: -infinity and -9999, with which servers say "unknown"
    absent: int
    #: entries whose id was there already (the chosen token besides the top k)
    duplicates: int


@dataclass(frozen=True)
class AugmentCounts:
    """What `kd_augment_counts` tells."""

    read: int
    written: int
    #: prompts that are not new: in the file, or already made
    known: int
    #: by the host's function
    refused: int
    #: records without a number, completion or predecessor, truncated ones, and those whose last
    #: question does not come from a user (a tool's answer)
    skipped: int


@dataclass(frozen=True)
class PackerInfo:
    """What `kd_packer_info` tells."""

    tasks: int
    #: held
    texts: int
    #: held
    tokens: int
    #: held
    answer_tokens: int
    #: texts truncated at max_tokens
    cut: int
    #: produced
    batches: int
    texts_given: int
    tokens_given: int
    #: texts produced / texts held
    epochs: float


@dataclass(frozen=True)
class AudioInfo:
    """What `kd_audio_info` tells."""

    #: Hz
    sample_rate: int
    channels: int
    #: of each channel
    samples: int


@dataclass(frozen=True)
class Difference:
    """What `kd_difference` tells."""

    #: the two rates
    a: float
    #: the two rates
    b: float
    #: b - a
    difference: float
    #: of the difference
    standard_error: float
    #: 95 % interval
    low: float
    #: 95 % interval
    high: float
    #: of "they are equal", two-sided
    p_value: float
    #: questions that only one got right (McNemar)
    only_a: int
    #: questions that only one got right (McNemar)
    only_b: int


@dataclass(frozen=True)
class PlanInfo:
    """What `kd_plan_info` tells."""

    ranks: int
    #: KD_PLAN_...
    advice: PlanAdvice
    #: the student, a token; FLOP: a multiplication and an addition are two
    parameters: int
    #: that a token sees, a mean over tokens and layers
    keys: float
    forward_flops: float
    train_flops: float
    #: of train_flops
    attention_share: float
    #: steps
    steps: int
    #: of one step
    rank_tokens: float
    #: computing alone
    step_seconds: float
    #: of all ranks, waits for the network included
    tokens_per_second: float
    #: saving included
    hours: float
    #: memory of a rank, bytes
    parameter_bytes: int
    gradient_bytes: int
    state_bytes: int
    activation_bytes: int
    loss_bytes: int
    #: the teacher's side of one pass, decoded
    target_bytes: int
    #: of the exchange
    buffer_bytes: int
    #: packed tokens, and entries of the store's index
    data_bytes: int
    total_bytes: int
    #: the network: a rank, a step
    sent_bytes: float
    #: were nothing else going on
    exchange_seconds: float
    #: of these, not hidden by the backward pass
    exposed_seconds: float
    #: exposed / (step + exposed)
    network_share: float
    #: exchange / step: 1.33 R / (B t) where products take all parameters
    unhidden_share: float
    #: the teacher
    teacher_forward_flops: float
    #: of forward passes for all tokens, and of what it generates
    capture_hours: float
    #: of the store, without the records' own
    position_bytes: float
    store_bytes: float
    text_bytes: float
    #: of one epoch, a rank's part
    store_read_seconds: float
    #: that a rank writes
    checkpoint_bytes: float
    save_seconds: float
    #: best, seconds; 0: no failures are expected [Young 1974]
    save_interval: float
    #: of step_seconds: what a rank moves in its memory to update, pack, sum and unpack parameters;
    #: 0 without update_bytes
    update_seconds: float


@dataclass(frozen=True)
class PlanMachine:
    """What `kd_plan_machine` tells."""

    threads: int
    flops: float
    efficiency: float
    #: written and on disk; 0: no folder was given
    disk_bytes: float
    #: that measuring took
    seconds: float
    update_bytes: float
