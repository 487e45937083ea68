"""Options of the C structs as typed keywords.

Made by python/generate.py from the headers: do not edit.
"""
from __future__ import annotations

from typing import TypedDict

from .enums import (
    T2,
    Align,
    AnswerFormat,
    BadLines,
    ChatFormat,
    ChatPrompt,
    Choose,
    Correction,
    Count,
    Direction,
    Draw,
    DType,
    Framing,
    Gemm,
    Isa,
    LayerChoice,
    Lookup,
    Mean,
    MelLog,
    MelNormalize,
    MelScale,
    Members,
    Missing,
    Mix,
    Nonfinite,
    OptimizerRule,
    PairDirection,
    Positives,
    Products,
    Projection,
    ProjectionStart,
    Reasoning,
    Resample,
    Retemper,
    SincWindow,
    SparseKind,
    StoreKind,
    Sync,
    Tail,
    Verifier,
    Window,
)


class ContextOptions(TypedDict, total=False):
    """Options of `kd_context_options`."""

    threads: int
    seed: int
    isa: Isa
    gemm: Gemm
    matmul_precision: Products


class FieldOptions(TypedDict, total=False):
    """Options of `kd_field_options`."""

    scale: float
    shift: float


class CsvOptions(TypedDict, total=False):
    """Options of `kd_csv_options`."""

    header: int
    label_column: int


class PseudoLabelOptions(TypedDict, total=False):
    """Options of `kd_pseudo_label_options`."""

    batch_size: int
    threshold: float
    per_class: int
    balance: int
    field: str | None


class LoaderOptions(TypedDict, total=False):
    """Options of `kd_loader_options`."""

    batch_size: int
    epochs: int
    shuffle: int
    drop_last: int
    shift: int
    flip: int
    rank: int
    ranks: int
    seed: int
    uneven: int


class ResizeOptions(TypedDict, total=False):
    """Options of `kd_resize_options`."""

    resample: Resample
    left: float
    top: float
    right: float
    bottom: float
    down_first: int


class ModelOptions(TypedDict, total=False):
    """Options of `kd_model_options`."""

    frozen: int
    seed: int
    max_rows: int
    weights: DType
    recompute: int
    recompute_layers: int
    activations: DType
    shared_gradients: int
    packed_only: int
    keep: str | None


class ModelSaveOptions(TypedDict, total=False):
    """Options of `kd_model_save_options`."""

    dtype: DType
    expand: int
    shard_bytes: int
    head: str | None


class Head(TypedDict, total=False):
    """Options of `kd_head`."""

    scale: float
    soft_cap: float
    skip_bound: float


class TeacherOptions(TypedDict, total=False):
    """Options of `kd_teacher_options`."""

    lookup: Lookup
    missing: Missing
    any_view: int
    name: str | None
    any_tokens: int


class EnsembleOptions(TypedDict, total=False):
    """Options of `kd_ensemble_options`."""

    mean: Mean
    temperature: float
    field: str | None


class Sparse(TypedDict, total=False):
    """Options of `kd_sparse`."""

    kind: SparseKind
    vocabulary: int
    temperature: float


class LossOptions(TypedDict, total=False):
    """Options of `kd_loss_options`."""

    memory_limit: int
    skip_bound: float


class TermOptions(TypedDict, total=False):
    """Options of `kd_term_options`."""

    t2: T2
    student_output: str | None
    teacher_field: str | None
    label_field: str | None
    mask_field: str | None
    weight_field: str | None
    align: Align
    nonfinite: Nonfinite
    count: Count
    classes: int
    temperature: float
    ignore_label: int
    tail: Tail
    retemper: Retemper
    correction: Correction


class ProjectionOptions(TypedDict, total=False):
    """Options of `kd_projection_options`."""

    kind: Projection
    start: ProjectionStart
    name: str | None
    from_: int
    to: int


class PairOptions(TypedDict, total=False):
    """Options of `kd_pair_options`."""

    directions: PairDirection
    positives: Positives
    other_output: str | None
    other_teacher_field: str | None
    group_field: str | None
    side_field: str | None
    scale_output: str | None
    bias_output: str | None


class GradientOptions(TypedDict, total=False):
    """Options of `kd_gradient_options`."""

    tasks: int
    output: str | None


class PlateauOptions(TypedDict, total=False):
    """Options of `kd_plateau_options`."""

    better: Direction
    patience: int
    cooldown: int
    recovery: int
    value: float
    factor: float
    floor: float
    min_change: float


class TaidOptions(TypedDict, total=False):
    """Options of `kd_taid_options`."""

    from_: float
    to: float
    rate: float
    momentum: float
    steps: int


class BalanceOptions(TypedDict, total=False):
    """Options of `kd_balance_options`."""

    decay: float
    temperature: float
    max_ratio: float


class OptimizerOptions(TypedDict, total=False):
    """Options of `kd_optimizer_options`."""

    nesterov: int
    momentum: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    clip_norm: float
    clip_value: float
    max_norm: float
    average_decay: float
    moments: DType


class GroupOptions(TypedDict, total=False):
    """Options of `kd_group_options`."""

    frozen: int
    learning_rate: float
    weight_decay: float
    max_norm: float
    lazy: int
    rule: OptimizerRule


class ExchangeOptions(TypedDict, total=False):
    """Options of `kd_exchange_options`."""

    shard: int
    wire: DType
    spread: int
    bucket_bytes: int
    patience: float


class MonitorOptions(TypedDict, total=False):
    """Options of `kd_monitor_options`."""

    better: Direction
    patience: int
    keep_best: int
    min_change: float


class CheckpointOptions(TypedDict, total=False):
    """Options of `kd_checkpoint_options`."""

    sync: Sync


class MetricsOptions(TypedDict, total=False):
    """Options of `kd_metrics_options`."""

    top_k: int
    calibration_bins: int
    bootstrap: int
    seed: int


class StoreField(TypedDict, total=False):
    """Options of `kd_store_field`."""

    kind: StoreKind
    name: str | None
    source: str | None
    encoding: DType
    bits: int
    width: int
    projection: int
    k: int
    mass: float
    bytes: int
    draws: int


class StoreOptions(TypedDict, total=False):
    """Options of `kd_store_options`."""

    sync: Sync
    append: int
    shard: int
    teacher: str | None
    vocabulary: int
    padded_vocabulary: int
    temperature: float
    align: Align
    tokenizer: str | None
    chat_template: str | None
    seed: int


class StoreOpenOptions(TypedDict, total=False):
    """Options of `kd_store_open_options`."""

    pread: int
    align: int
    tokenizer: str | None
    chat_template: str | None
    part: int
    parts: int


class ChatOptions(TypedDict, total=False):
    """Options of `kd_chat_options`."""

    format: ChatFormat
    generation_prompt: ChatPrompt
    keep_reasoning: int
    now: int


class GeneratorOptions(TypedDict, total=False):
    """Options of `kd_generator_options`."""

    max_sequences: int
    cache_tokens: int
    prefill_tokens: int
    weights: DType
    cache: DType
    draft_tokens: int
    lookup: int
    always_draft: int


class Sampling(TypedDict, total=False):
    """Options of `kd_sampling`."""

    samples: int
    max_tokens: int
    top_k: int
    temperature: float
    top_p: float
    min_p: float
    repetition_penalty: float
    seed: int
    keep_hidden: int
    draw: Draw


class BeamOptions(TypedDict, total=False):
    """Options of `kd_beam_options`."""

    beams: int
    max_tokens: int
    stop_token: int
    length_penalty: float


class SpeedOptions(TypedDict, total=False):
    """Options of `kd_speed_options`."""

    sequences: int
    prompt_tokens: int
    new_tokens: int
    repeats: int
    weights: DType
    cache: DType


class StudentOptions(TypedDict, total=False):
    """Options of `kd_student_options`."""

    layers: int
    choose: LayerChoice
    hidden_size: int
    intermediate_size: int
    key_value_heads: int


class StaticOptions(TypedDict, total=False):
    """Options of `kd_static_options`."""

    hidden_size: int
    normalize: int
    batch_size: int
    sif_coefficient: float
    output: str | None
    skip: str | None


class LoraOptions(TypedDict, total=False):
    """Options of `kd_lora_options`."""

    rank: int
    alpha: float
    seed: int


class MaskOptions(TypedDict, total=False):
    """Options of `kd_mask_options`."""

    mask_token: int
    vocabulary_size: int
    share: float
    mask_share: float
    random_share: float
    seed: int
    epoch: int
    tokens_field: str | None


class LatticeOptions(TypedDict, total=False):
    """Options of `kd_lattice_options`."""

    format: int
    every: int


class GgufOptions(TypedDict, total=False):
    """Options of `kd_gguf_options`."""

    format: int
    mixture: Mix
    head: int
    end_token: int
    name: str | None


class RecordOptions(TypedDict, total=False):
    """Options of `kd_record_options`."""

    bad_lines: BadLines
    line_bytes: int
    prompt_field: str | None
    completion_field: str | None
    expected_field: str | None
    domain_field: str | None
    unsupported: Members
    unknown: Members
    reasoning: Reasoning
    part: int
    parts: int


class RecordWriterOptions(TypedDict, total=False):
    """Options of `kd_record_writer_options`."""

    append: int


class VerifyOptions(TypedDict, total=False):
    """Options of `kd_verify_options`."""

    verifiers: Verifier
    all: int
    format: AnswerFormat
    tolerance: float
    pattern: str | None


class AnswersOptions(TypedDict, total=False):
    """Options of `kd_answers_options`."""

    samples: int
    chat: ChatFormat
    window: int
    max_prompts: int
    teacher: str | None
    first: int
    chunk_prompts: int
    lease: float


class ImportOptions(TypedDict, total=False):
    """Options of `kd_import_options`."""

    byte_level: int
    field: str | None
    token_table: str | None
    max_unmapped: float
    k: int
    positions: int


class ArrowOptions(TypedDict, total=False):
    """Options of `kd_arrow_options`."""

    once: int


class FilterOptions(TypedDict, total=False):
    """Options of `kd_filter_options`."""

    unit: int
    ngram: int
    choose: Choose
    name: str | None


class CurationOptions(TypedDict, total=False):
    """Options of `kd_curation_options`."""

    seed: int
    validation: float
    folder: str | None
    memory: int


class AugmentOptions(TypedDict, total=False):
    """Options of `kd_augment_options`."""

    copies: int
    keep_expected: int
    seed: int
    low: float
    high: float
    name: str | None


class PackerOptions(TypedDict, total=False):
    """Options of `kd_packer_options`."""

    chat: ChatFormat
    batch_tokens: int
    max_tokens: int
    end_token: int
    train_on_prompt: int
    batch_texts: int
    seed: int
    keep_reasoning: int


class AudioOptions(TypedDict, total=False):
    """Options of `kd_audio_options`."""

    sample_rate: int
    mono: int


class ResampleOptions(TypedDict, total=False):
    """Options of `kd_resample_options`."""

    window: SincWindow
    zero_crossings: int
    rolloff: float
    beta: float


class MelOptions(TypedDict, total=False):
    """Options of `kd_mel_options`."""

    sample_rate: int
    sound_length: int
    gain: float
    framing: Framing
    hop: int
    window_length: int
    fft_size: int
    remove_mean: int
    window: Window
    preemphasis: float
    symmetric: int
    power: int
    mels: int
    scale: MelScale
    mel_triangles: int
    equal_area: int
    low: float
    high: float
    floor: float
    offset: float
    log: MelLog
    drop_last: int
    range: float
    frames: int
    normalize: MelNormalize
    mean: float
    std: float


class PlanOptions(TypedDict, total=False):
    """Options of `kd_plan_options`."""

    ranks: int
    samples: int
    tokens: int
    length_deviation: float
    answer_share: float
    token_bytes: float
    epochs: float
    batch_tokens: int
    pass_tokens: int
    recompute: int
    recompute_layers: int
    activations: DType
    shared_gradients: int
    state_bytes: int
    shard: int
    wire: DType
    clip: int
    bucket_bytes: int
    kind: int
    bits: int
    encoding: DType
    entries: int
    position_bytes: float
    flops: float
    efficiency: float
    memory_bytes: float
    disk_bytes: float
    link_bytes: float
    latency: float
    decode_rate: float
    failure_hours: float
    update_bytes: float


class TermNumbers(TypedDict, total=False):
    """Values by the lower case names of `TermNumber`."""

    temperature: float
    weight: float
    label_smoothing: float
    teacher_share: float
    dkd_alpha: float
    dkd_beta: float
    huber_delta: float
    skew: float
    ab_alpha: float
    ab_beta: float
    head_mass: float
    progress: float
    confidence_power: float
    log_floor: float
    normalized: float
    detach_mixture: float
    first: float
    normalize: float
    relation_heads: float
    unbiased: float
    teacher_temperature: float
    causal: float
    scale: float
    teacher_scale: float
    bias: float


class FilterNumbers(TypedDict, total=False):
    """Values by the lower case names of `FilterNumber`."""

    min_length: float
    max_length: float
    max_paragraph: float
    max_repeated_share: float
    loop_count: float
    max_script_share: float
    max_similarity: float
    min_score: float
    min_pass_rate: float
    max_pass_rate: float
    max_per_prompt: float
    max_domain_ratio: float
    short_length: float
    short_share: float
    min_agreement: float
    max_records: float
    min_foreign_words: float
    max_foreign_share: float


class OptimizerNumbers(TypedDict, total=False):
    """Values by the lower case names of `OptimizerNumber`."""

    gradient_scale: float
    weight_decay: float
    clip_norm: float
    clip_value: float
    max_norm: float
    momentum: float
    average_decay: float


class TermSettings(TermOptions, total=False):
    """Options of `kd_term_options` and values of `TermNumber`."""

    label_smoothing: float
    teacher_share: float
    dkd_alpha: float
    dkd_beta: float
    huber_delta: float
    skew: float
    ab_alpha: float
    ab_beta: float
    head_mass: float
    progress: float
    confidence_power: float
    log_floor: float
    normalized: float
    detach_mixture: float
    first: float
    normalize: float
    relation_heads: float
    unbiased: float
    teacher_temperature: float
    causal: float
    scale: float
    teacher_scale: float
    bias: float


class FilterSettings(FilterOptions, total=False):
    """Options of `kd_filter_options` and values of `FilterNumber`."""

    min_length: float
    max_length: float
    max_paragraph: float
    max_repeated_share: float
    loop_count: float
    max_script_share: float
    max_similarity: float
    min_score: float
    min_pass_rate: float
    max_pass_rate: float
    max_per_prompt: float
    max_domain_ratio: float
    short_length: float
    short_share: float
    min_agreement: float
    max_records: float
    min_foreign_words: float
    max_foreign_share: float


#: struct: {keyword: (type, what the header says)}
MEMBERS: dict[str, dict[str, tuple[str, str]]] = {
    "kd_context_options": {
        "threads": (
            "int",
            "threads of the pool, caller included; 0: one per processor, at most 64"
        ),
        "seed": ("int", "of everything random"),
        "isa": ("Isa", "Isa.AUTO, or a set that the processor has (else Status.ERR_UNSUPPORTED)"),
        "gemm": ("Gemm", "Gemm.AUTO ..."),
        "matmul_precision": (
            "Products",
            "Products.FLOAT32 ...; only float32 with a matmul of the host"
        ),
    },
    "kd_field_options": {
        "scale": ("float", ""),
        "shift": ("float", ""),
    },
    "kd_csv_options": {
        "header": ("int", "1: the first line holds names"),
        "label_column": ("int", "column of the integer label; -1: the last, -2: no label"),
    },
    "kd_pseudo_label_options": {
        "batch_size": ("int", ""),
        "threshold": ("float", "samples whose highest probability is lower are dropped"),
        "per_class": ("int", "at most this many per class, the most confident first; 0: no limit"),
        "balance": ("int", "1: every class gets as many as the rarest (or per_class)"),
        "field": ("str | None", 'the teacher\'s field with logits; None: "logits"'),
    },
    "kd_loader_options": {
        "batch_size": ("int", "samples per batch, at least 1"),
        "epochs": ("int", "Status.END comes after this many passes, at least 1"),
        "shuffle": ("int", "1: a new order each epoch, from (seed, epoch)"),
        "drop_last": ("int", "1: no batch smaller than batch_size"),
        "shift": ("int", "images move by up to this many pixels each way, filled with a stored 0"),
        "flip": ("int", "1: images are mirrored left to right with probability 1/2"),
        "rank": ("int", "this process, out of `ranks`; each gets every ranks-th batch"),
        "ranks": ("int", ""),
        "seed": ("int", "0: the context's"),
        "uneven": (
            "int",
            "batches of a pass that cannot be split evenly. 0: the last ones, up to ranks - 1, are "
            "dropped in this pass; 1: ranks that get none of them get a batch without samples, so t"
            "hat all ranks take the same number of steps and every sample is used once"
        ),
    },
    "kd_resize_options": {
        "resample": ("Resample", "KD_RESAMPLE_..."),
        "left": (
            "float",
            "The part of the image that is resized, in pixels and parts of them, as PIL's `box`; al"
            "l 0: the whole image."
        ),
        "top": (
            "float",
            "The part of the image that is resized, in pixels and parts of them, as PIL's `box`; al"
            "l 0: the whole image."
        ),
        "right": (
            "float",
            "The part of the image that is resized, in pixels and parts of them, as PIL's `box`; al"
            "l 0: the whole image."
        ),
        "bottom": (
            "float",
            "The part of the image that is resized, in pixels and parts of them, as PIL's `box`; al"
            "l 0: the whole image."
        ),
        "down_first": ("int", "1: down before across, 0: across before down"),
    },
    "kd_model_options": {
        "frozen": ("int", "1: no gradients; the model only evaluates (a teacher)"),
        "seed": ("int", "of initial weights and dropout; 0: the context's"),
        "max_rows": (
            "int",
            "activations are allocated for this many rows, more if a batch needs it; 0: at the firs"
            "t forward"
        ),
        "weights": (
            "DType",
            "DType.FLOAT32, or DType.INT8 for a frozen language model: 8-bit weights times 8-bit ac"
            "tivations, one scale per 64 or 128 inputs, logits included; kept in addition to the pa"
            "rameters, which must not change. Loading runs 256 random tokens through the model: lou"
            "d inputs are evened out before they are rounded [Xiao et al. 2023]. Or Block.Q4_0 or B"
            "lock.IQ4_NL (block.h): the layers' matrices as blocks of 4 bits times 8-bit activation"
            "s, 32 inputs a scale on both sides, the head in 8 bits, the same bits in every instruc"
            "tion set; Status.ERR_RANGE: a matrix has numbers that the blocks do not have. Since 0."
            "2"
        ),
        "recompute": (
            "int",
            "1: a language model keeps only each layer's input and recomputes the rest in the backw"
            "ard pass, one layer at a time"
        ),
        "recompute_layers": (
            "int",
            "with recompute: how many layers, from the first, recompute (memory against time); 0: a"
            "ll"
        ),
        "activations": (
            "DType",
            "DType.FLOAT32, or DType.BFLOAT16 for a language model: what a training pass keeps of a"
            " layer besides its input is rounded for the backward pass, which halves that memory; t"
            "he forward pass is not rounded"
        ),
        "shared_gradients": (
            "int",
            "1: the layers of a language model take turns using memory for one layer's gradients. E"
            "very backward pass then needs kd_optimizer_begin_step before it, and gradients cannot "
            "be read. Status.ERR_UNSUPPORTED: other models, and layers shared as a whole stack"
        ),
        "packed_only": (
            "int",
            "1: with `weights` of few bits, a model keeps its matrices in them alone, and is made a"
            " layer at a time: about 1.1 (DType.INT8) or .6 bytes a parameter, and a layer in float"
            "32 while it is made. The products' weights are those of packed_only 0, bit for bit; ro"
            "ws of the embedding come out of the 8-bit head where it is tied, else out of blocks of"
            " Block.Q8_0 or of `weights`, and logits out of the 8-bit head in losses too. Passes, t"
            "eachers, generators of the same `weights` and size facts work. What needs float32 matr"
            "ices is Status.ERR_STATE and says so: kd_model_parameters, kd_model_tensor of a matrix"
            ", saving, checkpoints, copying, cutting students, GGUF files. Status.ERR_UNSUPPORTED: "
            "other models, and layers that are shared. Not frozen, it trains adapters (kd_model_add"
            "_lora), norms, biases and heads. Since 0.2"
        ),
        "keep": (
            "str | None",
            "names or patterns of outputs, with commas between: kd_model_keep for each. None: none"
        ),
    },
    "kd_model_save_options": {
        "dtype": ("DType", "DType.FLOAT32, DType.FLOAT16 or DType.BFLOAT16"),
        "expand": (
            "int",
            "1: shared layers are copied and factorized embeddings multiplied out, so that transfor"
            "mers loads the folder"
        ),
        "shard_bytes": (
            "int",
            "0: one file; else larger weights are split into shards of at most this many bytes (a t"
            "ensor is never split)"
        ),
        "head": (
            "str | None",
            "one head of kd_heads: the folder is that of a classifier with this head alone, as tran"
            "sformers' BertForSequenceClassification; see kd_model_save. None: the whole model"
        ),
    },
    "kd_head": {
        "scale": ("float", "not 0"),
        "soft_cap": ("float", "0: none"),
        "skip_bound": (
            "float",
            "0: exact. Otherwise a block of 48 rows x 48 ids of the gradient, of one row's loss sum"
            " (before the denominator and the term's weight), is not multiplied if no entry exceeds"
            " the bound. Instead each row's sum over the block multiplies the mean of the ids' head"
            " rows, and each id's weighted sum over the 48 rows the same sum of hidden states (weig"
            "hts: what the rows leave out). - The result has a bound on the error. - Sort the ids b"
            "y probability for the most effect. - Needs extra memory: 1/24 of the logits and 1/48 o"
            "f the head."
        ),
    },
    "kd_teacher_options": {
        "lookup": ("Lookup", "arrays: Lookup.INDEX or Lookup.KEY"),
        "missing": ("Missing", "Missing.ERROR or Missing.ABSENT"),
        "any_view": (
            "int",
            "1: arrays and stores answer for augmented views with the sample's own answer"
        ),
        "name": ("str | None", 'shown in messages; None: "teacher"'),
        "any_tokens": (
            "int",
            "1: a store's record answers for its key, whatever the batch's tokens"
        ),
    },
    "kd_ensemble_options": {
        "mean": ("Mean", "Mean.PROBABILITIES or Mean.LOGITS"),
        "temperature": (
            "float",
            "at which the members' probabilities are taken (> 0); the ensemble's logits are tempera"
            "ture * log(mean), so that a loss at this temperature sees the exact mean"
        ),
        "field": ("str | None", 'the members\' field, also the ensemble\'s; None: "logits"'),
    },
    "kd_sparse": {
        "kind": ("SparseKind", ""),
        "vocabulary": ("int", "ids are below it; 0: the term's classes decide, not the largest id"),
        "temperature": ("float", "of p"),
    },
    "kd_loss_options": {
        "memory_limit": ("int", "bytes for logits computed inside the loss (heads)"),
        "skip_bound": ("float", "of language models' heads, as in kd_head; 0: exact"),
    },
    "kd_term_options": {
        "t2": ("T2", "T2.DEFAULT ..."),
        "student_output": ("str | None", 'None: "logits", "hidden" for features (feature.h)'),
        "teacher_field": (
            "str | None",
            "None: likewise for terms that need a teacher, none for the others"
        ),
        "label_field": (
            "str | None",
            'None: "label". "teacher:label" takes the teacher\'s field of that name'
        ),
        "mask_field": (
            "str | None",
            "uint8 or float field of the batch, 0: skip the row; None: none"
        ),
        "weight_field": (
            "str | None",
            "float field, multiplies value and gradient of its row; None: none"
        ),
        "align": ("Align", "Align.SAME ..."),
        "nonfinite": ("Nonfinite", "Nonfinite.REFUSE ..."),
        "count": ("Count", "Count.ROWS ..."),
        "classes": (
            "int",
            "Real classes when both sides are padded; 0: the width, which must agree. Padded column"
            "s count as -infinity and get gradient 0."
        ),
        "temperature": ("float", "T; it may change later: TermNumber.TEMPERATURE"),
        "ignore_label": ("int", "rows with this label are skipped (default -100)"),
        "tail": ("Tail", "Tail.BUCKET ...: sparse teachers"),
        "retemper": ("Retemper", "Retemper.BETWEEN ..."),
        "correction": ("Correction", "Correction.NONE ..."),
    },
    "kd_projection_options": {
        "kind": ("Projection", "Projection.LINEAR ..."),
        "start": ("ProjectionStart", "ProjectionStart.UNIFORM ..."),
        "name": ("str | None", 'terms of one name share the parameters; None: "term.N"'),
        "from_": ("int", "widths; 0: the sides', fixed by kd_loss_prepare or the first call"),
        "to": ("int", "widths; 0: the sides', fixed by kd_loss_prepare or the first call"),
    },
    "kd_pair_options": {
        "directions": ("PairDirection", "PairDirection.BOTH ..."),
        "positives": ("Positives", "Positives.MEAN ..."),
        "other_output": (
            "str | None",
            'The candidates: another output of the model, of the same rows or samples; "teacher:NAM'
            'E", a field of the targets, which is a constant; None: rows of student_output itself'
        ),
        "other_teacher_field": (
            "str | None",
            "34, unless side_field is given: the teacher's candidates"
        ),
        "group_field": (
            "str | None",
            "Integers of the batch: equal ones belong together, and a row without one is left out. "
            "None: row i with row i."
        ),
        "side_field": (
            "str | None",
            "Integers of the batch: 0 an anchor, 1 a candidate, -1 neither. Given if and only if ot"
            "her_output is None; 32 and 33 then need group_field; 38 and 39 always do."
        ),
        "scale_output": (
            "str | None",
            "An output of one number (OutputUnit.BATCH), a parameter that is the logarithm of the s"
            'cale, "logit_scale"; it gets its gradient. A scale above 100 counts as 100 (diagnostic'
            "s: guards), with the gradient that it has there. None: TermNumber.SCALE. Towers have o"
            "ne (towers.h)."
        ),
        "bias_output": (
            "str | None",
            "33: an output of one number that takes TermNumber.BIAS's place and gets its gradient, "
            '"logit_bias" of towers. None: TermNumber.BIAS'
        ),
    },
    "kd_gradient_options": {
        "tasks": ("int", "1 to 64; read with task_of"),
        "output": (
            "str | None",
            "where tasks meet; None: the output that all their terms come from"
        ),
    },
    "kd_plateau_options": {
        "better": ("Direction", "Direction.LOWER ..."),
        "patience": (
            "int",
            "reports without improvement that are tolerated; one more multiplies by factor"
        ),
        "cooldown": ("int", "reports after a change that are not counted"),
        "recovery": ("int", "this many improvements in a row undo the last factor; 0: never"),
        "value": ("float", "the initial value"),
        "factor": ("float", "0 to 1, both excluded"),
        "floor": ("float", "never below"),
        "min_change": ("float", "an improvement is larger than this share of the best (relative)"),
    },
    "kd_taid_options": {
        "from_": ("float", "t before the first report"),
        "to": ("float", "the largest t, above `from`, at most 1"),
        "rate": ("float", "alpha; 0: linear only"),
        "momentum": ("float", "beta, 0 to below 1"),
        "steps": ("int", "t is at least from + (to - from) step / steps; at least 1"),
    },
    "kd_balance_options": {
        "decay": (
            "float",
            "MEAN: what a report leaves of the reports before it, 0 to 1; 1: all count the same"
        ),
        "temperature": ("float", "DWA's T, .01 to 1000"),
        "max_ratio": (
            "float",
            "largest of w_i / c_i over the smallest, at least 1: a task whose loss is 0 takes no mo"
            "re"
        ),
    },
    "kd_optimizer_options": {
        "nesterov": ("int", "SGD, Muon: 1 looks ahead"),
        "momentum": ("float", "SGD and Muon, 0 to below 1"),
        "beta1": ("float", "Adam, AdamW, Muon's other parameters"),
        "beta2": ("float", ""),
        "epsilon": ("float", ""),
        "weight_decay": ("float", "wd; groups may differ"),
        "clip_norm": ("float", "global L2 norm; 0: off"),
        "clip_value": ("float", "each gradient; 0: off"),
        "max_norm": ("float", "rows of parameters of rank 2 and more; 0: off"),
        "average_decay": ("float", "0: no averaged weights"),
        "moments": (
            "DType",
            "of momentum, first and second moments: DType.FLOAT32, or DType.BFLOAT16 in half the me"
            "mory, rounded up or down at random with an exact mean. A checkpoint keeps them unchang"
            "ed. Since 0.2."
        ),
    },
    "kd_group_options": {
        "frozen": ("int", "1: not updated"),
        "learning_rate": ("float", "multiplies the step's"),
        "weight_decay": ("float", ""),
        "max_norm": ("float", ""),
        "lazy": (
            "int",
            "1: a step changes only rows (entries of the first dimension) whose gradient is not all"
            " 0, with their moments and decay. Since 0.2."
        ),
        "rule": (
            "OptimizerRule",
            "Of OptimizerKind.MUON, before the first step. OptimizerRule.MUON needs two dimensions."
            " Since 0.2."
        ),
    },
    "kd_exchange_options": {
        "shard": (
            "int",
            "1: a rank keeps the optimizer's state of its pieces alone; 0: of all parameters, and u"
            "pdates them all itself"
        ),
        "wire": (
            "DType",
            "gradients travel as DType.FLOAT32 or DType.BFLOAT16; parameters as float32"
        ),
        "spread": ("int", "1: rank 0's parameters go to all at first; 0: they must be equal"),
        "bucket_bytes": (
            "int",
            "of gradients that travel together; 0: 4 MiB, or 512 KiB a rank if that is more. Raised"
            " to 64 KiB a rank."
        ),
        "patience": (
            "float",
            "seconds that a call waits for other ranks before it logs a warning; 0: never. The tran"
            "sport's own waits are not counted."
        ),
    },
    "kd_monitor_options": {
        "better": ("Direction", "Direction.LOWER or Direction.HIGHER"),
        "patience": ("int", "reports without improvement before it says stop; 0: never"),
        "keep_best": ("int", "1: keeps a copy of the best parameters"),
        "min_change": ("float", "an improvement is larger than this (absolute)"),
    },
    "kd_checkpoint_options": {
        "sync": (
            "Sync",
            "1: fsync the file and its folder, so that a saved checkpoint survives a power failure"
        ),
    },
    "kd_metrics_options": {
        "top_k": ("int", "for MetricKind.TOP_K"),
        "calibration_bins": ("int", "of equal width over 0..1; 15"),
        "bootstrap": ("int", "resamples, for errors that have no formula; 0: none"),
        "seed": ("int", "for the resamples; 0: the context's"),
    },
    "kd_store_field": {
        "kind": ("StoreKind", "StoreKind.DENSE ..."),
        "name": ("str | None", "in the targets when it is read"),
        "source": (
            "str | None",
            "the field that kd_store_writer_add takes from the targets; None: name. Top-k and count"
            "s take a sparse field of that name directly, or else are made from its logits, or from"
            ' "logits": dense ones, or hidden states with a head, processed in blocks of rows'
        ),
        "encoding": (
            "DType",
            "DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16 (dense), DType.INT8 (vectors, embeddings)"
        ),
        "bits": ("int", "hidden: 3 to 8"),
        "width": ("int", "of hidden states, vectors and embeddings as they are put"),
        "projection": ("int", "vectors, embeddings: width after a random projection; 0: none"),
        "k": (
            "int",
            "top-k from dense logits: this many ids. Sparse rows keep all their entries, 1 to the v"
            "ocabulary: a server's k and its chosen token do not need k + 1"
        ),
        "mass": ("float", "top-k: the fewest ids that reach it; 0: k ids"),
        "bytes": (
            "int",
            "top-k: as many ids as fit into this many bytes per position; 0: no limit"
        ),
        "draws": (
            "int",
            "counts from dense logits: this many draws; existing counts are kept unchanged"
        ),
    },
    "kd_store_options": {
        "sync": ("Sync", "Sync.CLOSE"),
        "append": (
            "int",
            "1: continues an existing store, whose header must agree; 0: the store must not exist"
        ),
        "shard": (
            "int",
            "-1: one file; 0 and above: path is a folder, and this is the writer's shard number"
        ),
        "teacher": ("str | None", 'its name, for people; None: ""'),
        "vocabulary": ("int", "real classes"),
        "padded_vocabulary": ("int", "width of padded dense logits; 0: vocabulary"),
        "temperature": ("float", "of log-probabilities and draws"),
        "align": ("Align", "Align.NEXT: row t is about token t + 1; Align.SAME"),
        "tokenizer": (
            "str | None",
            "hash of the tokenizer, any text; None: the first batch's (kd_batch_origin)"
        ),
        "chat_template": (
            "str | None",
            "how texts were rendered, any text; None: as the first batch says"
        ),
        "seed": ("int", "of rotations, projections and draws"),
    },
    "kd_store_open_options": {
        "pread": (
            "int",
            "1: reads instead of mapping: a file that shrinks under a mapping kills the process"
        ),
        "align": ("int", "expected; -1: whatever the store has"),
        "tokenizer": (
            "str | None",
            "expected hashes (kd_tokenizer_hash if the library filled them in); None: not checked"
        ),
        "chat_template": ("str | None", ""),
        "part": (
            "int",
            "only records of shards whose number is `part` modulo `parts`; of files, by their place"
            " among the paths. Each of several ranks then holds its part of the index; a head is fo"
            "und wherever it is"
        ),
        "parts": ("int", ""),
    },
    "kd_chat_options": {
        "format": ("ChatFormat", ""),
        "generation_prompt": ("ChatPrompt", "ChatPrompt.NONE .."),
        "keep_reasoning": ("int", ""),
        "now": (
            "int",
            "the time for a template's date, in seconds since 1970, UTC; 0: the clock, in local tim"
            "e"
        ),
    },
    "kd_generator_options": {
        "max_sequences": ("int", "that run at once"),
        "cache_tokens": (
            "int",
            "total capacity in tokens; 0: max_sequences times 512 (or the model's positions, if few"
            "er)"
        ),
        "prefill_tokens": ("int", "prompt tokens computed per step, at most"),
        "weights": (
            "DType",
            "DType.FLOAT32, or products of few bits as in kd_model_options: DType.INT8, Block.Q4_0 "
            "or Block.IQ4_NL (block.h)"
        ),
        "cache": (
            "DType",
            "keys and values: DType.FLOAT32; DType.FLOAT16 or DType.BFLOAT16 (half the memory, roun"
            "ded); DType.INT8 (a little over a quarter): a scale per token and head, keys and queri"
            "es rotated by a Hadamard matrix of the largest power of two that divides head_dim, as "
            "loud channels would take all 8 bits. Since 0.2."
        ),
        "draft_tokens": ("int", "proposed for a sequence per step, at most; 0: 4"),
        "lookup": (
            "int",
            "Tokens that followed the last so many when they stood in prompt or text before are pro"
            "posed as well; 0: off, 3 as a rule. Where there are some, the draft is not asked."
        ),
        "always_draft": (
            "int",
            "0: as many as pay, by what was right lately and what steps take; none where they do no"
            "t. 1: always draft_tokens of them, to measure a draft."
        ),
    },
    "kd_sampling": {
        "samples": ("int", "texts for this prompt"),
        "max_tokens": ("int", "per text, at most"),
        "top_k": ("int", "only the k most probable tokens; 0: all"),
        "temperature": ("float", "0: always the most probable token (the lowest id on a tie)"),
        "top_p": ("float", "the fewest most probable tokens with this mass; 1: all"),
        "min_p": ("float", "only tokens with this share of the largest probability; 0: all"),
        "repetition_penalty": (
            "float",
            "logits of tokens in prompt and text are divided by it if positive, else multiplied; 1:"
            " off [Keskar et al. 2019]"
        ),
        "seed": ("int", ""),
        "keep_hidden": ("int", "1: keeps the hidden state that each token was drawn from"),
        "draw": (
            "Draw",
            "Draw.INVERSE or Draw.GUMBEL: other texts of the same distribution. Since 0.2."
        ),
    },
    "kd_beam_options": {
        "beams": ("int", ""),
        "max_tokens": ("int", ""),
        "stop_token": (
            "int",
            "ends a beam; EndToken.DEFAULT: any of the tokenizer's own; EndToken.NONE"
        ),
        "length_penalty": ("float", "a text's score is its log-probability / tokens^penalty"),
    },
    "kd_speed_options": {
        "sequences": ("int", "at once"),
        "prompt_tokens": ("int", "per sequence"),
        "new_tokens": ("int", ""),
        "repeats": ("int", "the medians of this many are reported"),
        "weights": ("DType", "as in kd_generator_options"),
        "cache": ("DType", "as in kd_generator_options; 0: DType.FLOAT32. Since 0.2"),
    },
    "kd_student_options": {
        "layers": ("int", "of the student; 0: all"),
        "choose": ("LayerChoice", "LayerChoice.UNIFORM ...; how layers are chosen: see below"),
        "hidden_size": ("int", "how many of each to keep; 0: all"),
        "intermediate_size": ("int", ""),
        "key_value_heads": ("int", "each with its group of query heads; encoders: see below"),
    },
    "kd_static_options": {
        "hidden_size": ("int", "at most; the teacher's where that is less; 0: the teacher's"),
        "normalize": ("int", "1: embeddings of length 1"),
        "batch_size": ("int", "tokens in a pass of the teacher"),
        "sif_coefficient": (
            "float",
            "a of a / (a + p): p is the share of a token in texts, by Zipf's law from its id; 0: al"
            "l tokens weigh the same"
        ),
        "output": ("str | None", 'the teacher\'s, one for each sample; None: "pooled"'),
        "skip": (
            "str | None",
            'tokens whose text matches (* and ?) get rows of 0, as special tokens do; None: "[unuse'
            'd*]"; "": none'
        ),
    },
    "kd_lora_options": {
        "rank": ("int", ""),
        "alpha": ("float", "the product is scaled by alpha / rank"),
        "seed": ("int", "for A; 0: the model's"),
    },
    "kd_mask_options": {
        "mask_token": ("int", 'the tokenizer\'s id of "[MASK]" or "<mask>"; to be set'),
        "vocabulary_size": ("int", "tokens are below it; to be set"),
        "share": ("float", "of rows that are chosen: BERT's .15; ModernBERT was trained with .30"),
        "mask_share": ("float", "of the chosen rows that become the mask token"),
        "random_share": ("float", "of those that become another token; the others stay"),
        "seed": ("int", "0: the context's"),
        "epoch": ("int", "another epoch hides others"),
        "tokens_field": ("str | None", 'None: "tokens", "label", "mask"'),
    },
    "kd_lattice_options": {
        "format": ("int", "a block format that is written; 0: the matrices are float32 again"),
        "every": (
            "int",
            "of IQ4_NL, Q4_K and Q5_K, whose scales take a search: after how many optimizer steps i"
            "t is done again; in between only codes are rounded. 0: 16. Other formats have new scal"
            "es in every pass"
        ),
    },
    "kd_gguf_options": {
        "format": (
            "int",
            "DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16 or a block format; 0: for a model on a la"
            "ttice (lattice.h), its blocks unchanged, and the other matrices, embeddings and head, "
            "in Q8_0"
        ),
        "mixture": ("Mix", "Mix.PURE .."),
        "head": (
            "int",
            "of embeddings and head; 0: what the mixture says (Q6_K, or Q8_0 where rows do not fit)"
        ),
        "end_token": ("int", "as in kd_model_save_gguf"),
        "name": ("str | None", "general.name; None: none"),
    },
    "kd_record_options": {
        "bad_lines": (
            "BadLines",
            "broken JSON, repeated keys, not UTF-8, an unknown shape, too long, a rejected member"
        ),
        "line_bytes": ("int", "longer lines are bad; skipped, not kept"),
        "prompt_field": ("str | None", "names that this file uses; None: the usual ones"),
        "completion_field": ("str | None", ""),
        "expected_field": ("str | None", ""),
        "domain_field": ("str | None", ""),
        "unsupported": (
            "Members",
            "Members.REFUSE ..: members beside the turns that would change what is learned and are "
            "not supported"
        ),
        "unknown": (
            "Members",
            "Members.KEEP ..: unknown members of a turn; if kept, a template may read them"
        ),
        "reasoning": ("Reasoning", "Reasoning.TAGS .."),
        "part": (
            "int",
            "only records whose prompt_key[0] is `part` modulo `parts`: each of several workers rea"
            "ds its own, a prompt's answers together, whatever file and order they come in"
        ),
        "parts": ("int", ""),
    },
    "kd_record_writer_options": {
        "append": (
            "int",
            "1: appends; an incomplete last line left by a killed writer is cut off first. 0: a new"
            " file, renamed into place on close"
        ),
    },
    "kd_verify_options": {
        "verifiers": ("Verifier", "bits"),
        "all": ("int", "0: one is enough (union); 1: all must agree (intersection)"),
        "format": ("AnswerFormat", "bits that a text must also satisfy; 0: none"),
        "tolerance": ("float", "decimal fractions: |a - b| <= tolerance max(|a|, |b|)"),
        "pattern": ("str | None", ""),
    },
    "kd_answers_options": {
        "samples": ("int", "answers per prompt"),
        "chat": (
            "ChatFormat",
            "how prompts are written: ChatFormat.AUTO ..., or ChatFormat.PLAIN (kdistill/packer.h)"
        ),
        "window": ("int", "prompts in progress at once"),
        "max_prompts": ("int", "at most this many; 0: all"),
        "teacher": ("str | None", "name written into the records"),
        "first": ("int", "this many prompts are read over; max_prompts counts from here"),
        "chunk_prompts": (
            "int",
            "of kd_answers_collect_chunks: prompts a chunk; seconds after which a worker that was n"
            "ot heard of counts as gone, more than the longest window of prompts takes and than clo"
            "cks differ"
        ),
        "lease": ("float", ""),
    },
    "kd_import_options": {
        "byte_level": (
            "int",
            "1: the table's strings use GPT-2's byte alphabet (detected if spaces are U+0120; table"
            "s with U+2581 for spaces are recognized too)"
        ),
        "field": ("str | None", "of kind StoreKind.TOPK; None: the store's first"),
        "token_table": (
            "str | None",
            'JSON file { "token": id, ... } for strings; None: tokens cannot be mapped'
        ),
        "max_unmapped": ("float", "fails if a larger share of the strings has no id"),
        "k": ("int", "flat files"),
        "positions": ("int", "flat files"),
    },
    "kd_arrow_options": {
        "once": (
            "int",
            "1: a batch is released when it was read; kd_record_reader_rewind is then Status.ERR_ST"
            "ATE. 0: all batches are kept, uncopied, while the reader lives"
        ),
    },
    "kd_filter_options": {
        "unit": (
            "int",
            "Unit.BYTES ..., in what lengths are counted; -1: the kind's default, bytes where the k"
            "ind names none"
        ),
        "ngram": (
            "int",
            "words, or tokens, in a row that are compared, 1 to 64; 0: the kind's default"
        ),
        "choose": ("Choose", "Choose.SCORE ..."),
        "name": ("str | None", 'in the funnel and in "passed"; None: the kind\'s own'),
    },
    "kd_curation_options": {
        "seed": ("int", "of draws and of the split; 0: the context's"),
        "validation": (
            "float",
            "share of prompts, with all their records, that goes to the second writer; 0: none"
        ),
        "folder": (
            "str | None",
            "a folder for files of near duplicates, where memory does not hold them: signatures and"
            " bands are sorted there, about 512 + 48 bytes a band (11 bands at .8) of each record t"
            "hat comes to the filter, and removed. The result is the same; records are read once mo"
            "re. None: all in memory"
        ),
        "memory": (
            "int",
            "bytes that near duplicates may take with `folder`, at least 2^20. Status.ERR_MEMORY: t"
            "oo few for what the kept texts of one 64th of the records have in common with later on"
            "es"
        ),
    },
    "kd_augment_options": {
        "copies": ("int", "NUMBERS: new prompts per prompt"),
        "keep_expected": (
            "int",
            "ANSWERS: 1: the old prompt's answer still holds (it was only rephrased)"
        ),
        "seed": (
            "int",
            "NUMBERS: 0: the context's; a prompt's result depends on it and the prompt alone"
        ),
        "low": (
            "float",
            "NUMBERS: a number n is redrawn uniformly from low n to high n; it keeps its number of "
            "decimals, and 0 stays 0"
        ),
        "high": (
            "float",
            "NUMBERS: a number n is redrawn uniformly from low n to high n; it keeps its number of "
            "decimals, and 0 stays 0"
        ),
        "name": ("str | None", 'added to "passed"; None: numbers, templates, answers'),
    },
    "kd_packer_options": {
        "chat": ("ChatFormat", "ChatFormat.AUTO ..., or ChatFormat.PLAIN"),
        "batch_tokens": ("int", "at most this many per batch; a longer text is a batch by itself"),
        "max_tokens": ("int", "longer texts are truncated at the end, with their mask"),
        "end_token": (
            "int",
            "after a plain completion: an id, EndToken.DEFAULT or EndToken.NONE (kdistill/tokenizer"
            ".h)"
        ),
        "train_on_prompt": ("int", "1: prompts are learned too"),
        "batch_texts": ("int", "at most this many texts per batch; 0: no limit"),
        "seed": ("int", "0: the context's"),
        "keep_reasoning": (
            "int",
            "of chats, as in kd_chat_options; -1: the template decides, 1: kept, 0: dropped"
        ),
    },
    "kd_audio_options": {
        "sample_rate": ("int", "Hz: resampled to it as kd_audio_resample does; 0: as in the file"),
        "mono": ("int", "1: the mean of the channels"),
    },
    "kd_resample_options": {
        "window": ("SincWindow", "SincWindow.KAISER .."),
        "zero_crossings": ("int", "of the sinc on each side, 1 to 256"),
        "rolloff": ("float", "cut-off as a share of the lower rate's half, above 0.01, at most 1"),
        "beta": ("float", "of KAISER, 0 to 40: more: less folded back, a wider passage"),
    },
    "kd_mel_options": {
        "sample_rate": ("int", "Hz"),
        "sound_length": ("int", "samples: sounds are cut to it, or zeros follow them; 0: neither"),
        "gain": ("float", "samples are multiplied by it: 32768 for models of 16-bit integers"),
        "framing": ("Framing", "Framing.WINDOWS .."),
        "hop": ("int", "samples from one frame to the next"),
        "window_length": ("int", "samples, at most fft_size"),
        "fft_size": ("int", "even, a product of 2, 3, 5 and 7, at most 16384"),
        "remove_mean": ("int", "1: a frame's mean is subtracted from it"),
        "window": ("Window", "Window.HANN .."),
        "preemphasis": ("float", "x_i - preemphasis x_(i-1) within a frame, 0 to 1"),
        "symmetric": ("int", "the window is over 0: window_length, 1: window_length - 1 steps"),
        "power": ("int", "1: magnitudes, 2: their squares"),
        "mels": ("int", "bands, at most 1024"),
        "scale": ("MelScale", "MelScale.SLANEY .."),
        "mel_triangles": ("int", "bands are triangles over 0: Hz, 1: mels"),
        "equal_area": ("int", "1: a band is divided by half its width in Hz (Slaney's norm)"),
        "low": ("float", "Hz where bands begin and end; high 0: half the rate"),
        "high": ("float", "Hz where bands begin and end; high 0: half the rate"),
        "floor": ("float", "log(max(x, floor) + offset)"),
        "offset": ("float", "log(max(x, floor) + offset)"),
        "log": ("MelLog", "MelLog.NONE .."),
        "drop_last": ("int", "1: without the last frame, as Whisper"),
        "range": ("float", "no value is lower than the sound's largest - range; 0: any"),
        "frames": (
            "int",
            "A spectrogram is cut to this many before `range`, or zeros follow it: before FIXED, af"
            "ter SOUND and BANDS; 0: neither"
        ),
        "normalize": ("MelNormalize", "MelNormalize.NONE .."),
        "mean": ("float", ""),
        "std": ("float", ""),
    },
    "kd_plan_options": {
        "ranks": ("int", ""),
        "samples": ("int", "the data"),
        "tokens": ("int", "of all samples"),
        "length_deviation": ("float", "standard deviation of a sample's tokens"),
        "answer_share": ("float", "of tokens, those that are learned"),
        "token_bytes": ("float", "of text, a token; 3.6"),
        "epochs": ("float", ""),
        "batch_tokens": ("int", "of all ranks"),
        "pass_tokens": (
            "int",
            "that a rank takes through the model at once; 0: all of its part of the batch"
        ),
        "recompute": ("int", "of kd_model_options"),
        "recompute_layers": ("int", ""),
        "activations": ("DType", ""),
        "shared_gradients": ("int", ""),
        "state_bytes": (
            "int",
            "of the optimizer, a parameter: 8 for Adam, 4 for SGD with momentum"
        ),
        "shard": ("int", "1: each rank keeps the optimizer's state of its part of the parameters"),
        "wire": ("DType", "gradients travel as DType.FLOAT32 or DType.BFLOAT16"),
        "clip": (
            "int",
            "1: clipped by the norm of all, so that parameters travel after the last one"
        ),
        "bucket_bytes": ("int", "0: 4 MiB, or 512 KiB a rank where that is more"),
        "kind": (
            "int",
            "what is kept of the teacher: StoreKind.TOPK (entries: k), StoreKind.COUNTS (entries: d"
            "raws), StoreKind.HIDDEN (bits), StoreKind.DENSE (encoding); 0: texts alone"
        ),
        "bits": ("int", ""),
        "encoding": ("DType", ""),
        "entries": ("int", ""),
        "position_bytes": (
            "float",
            "as `kdistill-store stats` prints them for a first shard; 0: what docs/store-figures.md"
            " measured"
        ),
        "flops": ("float", "attained by products alone, a second"),
        "efficiency": ("float", "share of it that steps attain; with update_bytes: that passes do"),
        "memory_bytes": ("float", "0: not known"),
        "disk_bytes": ("float", "a second"),
        "link_bytes": ("float", "a second, each way"),
        "latency": ("float", "seconds"),
        "decode_rate": (
            "float",
            "that a teacher of all ranks generates, a second and rank; 0: its answers are there alr"
            "eady"
        ),
        "failure_hours": (
            "float",
            "mean time between failures of the whole job; 0: none are expected"
        ),
        "update_bytes": (
            "float",
            "of memory, a second, that an optimizer's update moves; 0: updates are within efficienc"
            "y"
        ),
    },
}

#: struct: {keyword: what the header says}, of numbers beside its members
NUMBERS: dict[str, dict[str, str]] = {
    "kd_term_options": {
        "label_smoothing": "e; 0 .. 1, 0; cross-entropy",
        "teacher_share": "b; 0 .. 1, .5; JSD",
        "dkd_alpha": "target's part; 0 .. 1e6, 1; DKD",
        "dkd_beta": "other classes; 0 .. 1e6, 8; DKD",
        "huber_delta": "1e-6 .. 1e6, 1; Huber",
        "skew": "0 .. 1, .1; both skewed KL",
        "ab_alpha": "a; -2 .. 2, .2; alpha-beta",
        "ab_beta": "b; -2 .. 2, .7; alpha-beta",
        "head_mass": "0 .. 1, .5; adaptive KL",
        "progress": "t; 0 .. 1, .4; TAID",
        "confidence_power": "gamma; 0 .. 100, 0; kinds with p",
        "log_floor": "-1e6 .. 0, 0; reverse, adaptive KL",
        "normalized": "1: over b (1 - b), 0 is forward, 1 reverse KL; 0 or 1, 0; JSD",
        "detach_mixture": "1: M is a constant; 0 or 1, 0; skewed reverse KL",
        "first": "the first n numbers of both sides, 0: all; 0 .. 2^31, 0",
        "normalize": "Normalize.DEFAULT ...; 0 .. 3, 0",
        "relation_heads": "35 to 37: heads of a row, 0: as the kind says; 0 .. 2^16, 0",
        "unbiased": "CKA, 1: unbiased HSIC [Song et al. 2012]; 0 or 1, 0",
        "teacher_temperature": "relation KL: the teacher's, 0: the term's; 0 .. 1000, 0",
        "causal": "35 to 37: 1: a row sees no later row, 0: as the student's model; 0 or 1, 0",
        "scale": "32 to 34, 38, 39: of dot products; 1e-6 .. 1000, 20",
        "teacher_scale": "34, 38, 39: the teacher's, 0: TermNumber.SCALE, 1; 0 .. 1000, 0",
        "bias": "33; -1000 .. 1000, -10",
    },
    "kd_filter_options": {
        "min_length": "LENGTH: the shortest that stays; 0 .., 1",
        "max_length": "LENGTH: the longest; 0 .., 0: no limit",
        "max_paragraph": "PARAGRAPHS: the longest; 1 .., 2000",
        "max_repeated_share": "REPETITION: of n-grams; 0 .. 1, .3",
        "loop_count": "REPETITION: times in a row; 2 .., 4",
        "max_script_share": "SCRIPTS: of letters; 0 .. 1, .05",
        "max_similarity": "NEAR_DUPLICATES: Jaccard; 0 .. 1, .8 [Lee et al. 2022]",
        "min_score": "SCORE: the lowest that stays; any, .5",
        "min_pass_rate": "PASS_RATE: 0 .. 1, .001: what nobody solves goes",
        "max_pass_rate": "PASS_RATE: 0 .. 1, 1; below 1 what all solve goes",
        "max_per_prompt": "BEST: records that stay; 1 .., 1",
        "max_domain_ratio": "BALANCE: a domain's over the rarest's; 0 .., 1",
        "short_length": "LENGTH_MIX: the longest short one; 0 .., 1000",
        "short_share": "LENGTH_MIX: of short ones; 0 .. 1, .8 [Li et al. 2025]",
        "min_agreement": "AGREEMENT: of a prompt's answers; 0 .. 1, .5",
        "max_records": "SAMPLE: records that stay; 1 .., 1000",
        "min_foreign_words": "LANGUAGES: function words; 0 .., 4",
        "max_foreign_share": "LANGUAGES: of function words; 0 .. 1, .2",
    },
}
