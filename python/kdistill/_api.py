"""The C interface: structs, and the prototypes of all functions.

Made by python/generate.py from the headers: do not edit.
"""
# ruff: noqa: N801
from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

_Text = bytes  # a struct may have a member of that name

KD_VERSION_MAJOR = 0
KD_VERSION_MINOR = 2
KD_VERSION_PATCH = 0
KD_ARRAY_MAX_RANK = 8
KD_NAME_BYTES = 64
KD_LOSS_MAX_TERMS = 64
KD_HASH_BYTES = 33
KD_AUDIO_MAX_RATE = 1000000


class kd_array(Structure):
    """`kd_array` of the headers."""

    _fields_ = [
        ("data", c_void_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("dims", c_int64 * KD_ARRAY_MAX_RANK),
        ("strides", c_int64 * KD_ARRAY_MAX_RANK),
        ("device", c_int32),
        ("reserved0", c_int32),
        ("reserved", c_uint64 * 3),
    ]
    data: Any
    dtype: int
    rank: int
    dims: Any
    strides: Any
    device: int
    reserved0: int
    reserved: Any


class kd_allocator(Structure):
    """`kd_allocator` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("allocate", CFUNCTYPE(c_void_p, c_void_p, c_size_t)),
        ("reallocate", CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_size_t, c_size_t)),
        ("release", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
    ]
    struct_size: int
    reserved: int
    user: Any
    allocate: Any
    reallocate: Any
    release: Any


class kd_logger(Structure):
    """`kd_logger` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("level", c_int32),
        ("user", c_void_p),
        ("log", CFUNCTYPE(None, c_void_p, c_int32, c_char_p)),
    ]
    struct_size: int
    level: int
    user: Any
    log: Any


class kd_progress(Structure):
    """`kd_progress` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("progress", CFUNCTYPE(c_int32, c_void_p, c_char_p, c_int64, c_int64)),
    ]
    struct_size: int
    reserved: int
    user: Any
    progress: Any


class kd_matmul(Structure):
    """`kd_matmul` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("matmul",
         CFUNCTYPE(
            c_int32, c_void_p, c_int32, c_int32, c_int64, c_int64, c_int64, c_float,
            POINTER(c_float), c_int64, POINTER(c_float), c_int64, c_float, POINTER(c_float),
            c_int64,
        )),
    ]
    struct_size: int
    reserved: int
    user: Any
    matmul: Any


class kd_context_options(Structure):
    """`kd_context_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("seed", c_uint64),
        ("isa", c_int32),
        ("gemm", c_int32),
        ("allocator", POINTER(kd_allocator)),
        ("logger", POINTER(kd_logger)),
        ("progress", POINTER(kd_progress)),
        ("matmul", POINTER(kd_matmul)),
        ("matmul_precision", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    threads: int
    seed: int
    isa: int
    gemm: int
    allocator: Any
    logger: Any
    progress: Any
    matmul: Any
    matmul_precision: int
    reserved: int


class kd_context_info(Structure):
    """`kd_context_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("isa", c_int32),
        ("gemm", c_int32),
        ("blas_threads", c_int32),
        ("blas_is_slow", c_int32),
        ("deterministic", c_int32),
        ("reserved", c_int32),
        ("seed", c_uint64),
        ("allocations", c_uint64),
        ("bytes", c_uint64),
        ("peak_bytes", c_uint64),
        ("blas", c_char_p),
        ("blas_kernels", c_char_p),
        ("blas_remedy", c_char_p),
        ("matmul_precision", c_int32),
        ("reserved2", c_int32),
    ]
    struct_size: int
    threads: int
    isa: int
    gemm: int
    blas_threads: int
    blas_is_slow: int
    deterministic: int
    reserved: int
    seed: int
    allocations: int
    bytes: int
    peak_bytes: int
    blas: _Text | None
    blas_kernels: _Text | None
    blas_remedy: _Text | None
    matmul_precision: int
    reserved2: int


class kd_dataset_options(Structure):
    """`kd_dataset_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
    ]
    struct_size: int
    reserved: int


class kd_field_options(Structure):
    """`kd_field_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("scale", c_double),
        ("shift", c_double),
        ("present", POINTER(kd_array)),
        ("channel_scale", POINTER(kd_array)),
        ("channel_shift", POINTER(kd_array)),
    ]
    struct_size: int
    reserved: int
    scale: float
    shift: float
    present: Any
    channel_scale: Any
    channel_shift: Any


class kd_csv_options(Structure):
    """`kd_csv_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("separator", c_int32),
        ("header", c_int32),
        ("label_column", c_int32),
    ]
    struct_size: int
    separator: int
    header: int
    label_column: int


class kd_pseudo_label_options(Structure):
    """`kd_pseudo_label_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("batch_size", c_int32),
        ("threshold", c_double),
        ("per_class", c_int64),
        ("balance", c_int32),
        ("reserved", c_int32),
        ("field", c_char_p),
    ]
    struct_size: int
    batch_size: int
    threshold: float
    per_class: int
    balance: int
    reserved: int
    field: _Text | None


class kd_pseudo_label_counts(Structure):
    """`kd_pseudo_label_counts` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("classes", c_int32),
        ("seen", c_int64),
        ("below_threshold", c_int64),
        ("over_balance", c_int64),
        ("without_teacher", c_int64),
        ("kept", c_int64),
    ]
    struct_size: int
    classes: int
    seen: int
    below_threshold: int
    over_balance: int
    without_teacher: int
    kept: int


class kd_loader_options(Structure):
    """`kd_loader_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("batch_size", c_int32),
        ("epochs", c_int32),
        ("shuffle", c_int32),
        ("drop_last", c_int32),
        ("shift", c_int32),
        ("flip", c_int32),
        ("rank", c_int32),
        ("ranks", c_int32),
        ("reserved", c_int32),
        ("seed", c_uint64),
        ("uneven", c_int32),
        ("unused", c_int32),
    ]
    struct_size: int
    batch_size: int
    epochs: int
    shuffle: int
    drop_last: int
    shift: int
    flip: int
    rank: int
    ranks: int
    reserved: int
    seed: int
    uneven: int
    unused: int


class kd_batch_options(Structure):
    """`kd_batch_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
    ]
    struct_size: int
    reserved: int


class kd_resize_options(Structure):
    """`kd_resize_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("resample", c_int32),
        ("left", c_double),
        ("top", c_double),
        ("right", c_double),
        ("bottom", c_double),
        ("down_first", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    resample: int
    left: float
    top: float
    right: float
    bottom: float
    down_first: int
    reserved: int


class kd_model_options(Structure):
    """`kd_model_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("frozen", c_int32),
        ("seed", c_uint64),
        ("max_rows", c_int64),
        ("weights", c_int32),
        ("recompute", c_int32),
        ("recompute_layers", c_int32),
        ("activations", c_int32),
        ("shared_gradients", c_int32),
        ("packed_only", c_int32),
        ("keep", c_char_p),
    ]
    struct_size: int
    frozen: int
    seed: int
    max_rows: int
    weights: int
    recompute: int
    recompute_layers: int
    activations: int
    shared_gradients: int
    packed_only: int
    keep: _Text | None


class kd_model_save_options(Structure):
    """`kd_model_save_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("expand", c_int32),
        ("reserved", c_int32),
        ("shard_bytes", c_int64),
        ("head", c_char_p),
    ]
    struct_size: int
    dtype: int
    expand: int
    reserved: int
    shard_bytes: int
    head: _Text | None


class kd_model_memory_info(Structure):
    """`kd_model_memory_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("parameters", c_int64),
        ("parameter_bytes", c_int64),
        ("gradient_bytes", c_int64),
        ("activation_bytes", c_int64),
        ("total_bytes", c_int64),
    ]
    struct_size: int
    reserved: int
    parameters: int
    parameter_bytes: int
    gradient_bytes: int
    activation_bytes: int
    total_bytes: int


class kd_output_info(Structure):
    """`kd_output_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("unit", c_int32),
        ("dtype", c_int32),
        ("is_kept", c_int32),
        ("width", c_int64),
        ("row_bytes", c_int64),
    ]
    struct_size: int
    unit: int
    dtype: int
    is_kept: int
    width: int
    row_bytes: int


class kd_model_info(Structure):
    """`kd_model_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("layers", c_int32),
        ("parameters", c_int64),
        ("active_parameters", c_int64),
        ("memory_bytes", c_int64),
        ("float32_bytes", c_int64),
        ("float16_bytes", c_int64),
        ("int8_bytes", c_int64),
    ]
    struct_size: int
    layers: int
    parameters: int
    active_parameters: int
    memory_bytes: int
    float32_bytes: int
    float16_bytes: int
    int8_bytes: int


class kd_head(Structure):
    """`kd_head` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("weight", POINTER(kd_array)),
        ("bias", POINTER(kd_array)),
        ("weight_gradient", POINTER(kd_array)),
        ("bias_gradient", POINTER(kd_array)),
        ("scale", c_double),
        ("soft_cap", c_double),
        ("skip_bound", c_double),
    ]
    struct_size: int
    reserved: int
    weight: Any
    bias: Any
    weight_gradient: Any
    bias_gradient: Any
    scale: float
    soft_cap: float
    skip_bound: float


class kd_teacher_options(Structure):
    """`kd_teacher_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("lookup", c_int32),
        ("missing", c_int32),
        ("any_view", c_int32),
        ("name", c_char_p),
        ("any_tokens", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    lookup: int
    missing: int
    any_view: int
    name: _Text | None
    any_tokens: int
    reserved: int


class kd_ensemble_options(Structure):
    """`kd_ensemble_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("mean", c_int32),
        ("weights", POINTER(c_double)),
        ("temperature", c_double),
        ("field", c_char_p),
    ]
    struct_size: int
    mean: int
    weights: Any
    temperature: float
    field: _Text | None


class kd_teacher_callbacks(Structure):
    """`kd_teacher_callbacks` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("read", CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p)),
        ("destroy", CFUNCTYPE(None, c_void_p)),
    ]
    struct_size: int
    reserved: int
    user: Any
    read: Any
    destroy: Any


class kd_targets_options(Structure):
    """`kd_targets_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
    ]
    struct_size: int
    reserved: int


class kd_sparse(Structure):
    """`kd_sparse` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("vocabulary", c_int64),
        ("temperature", c_double),
        ("offsets", POINTER(kd_array)),
        ("ids", POINTER(kd_array)),
        ("values", POINTER(kd_array)),
        ("tail", POINTER(kd_array)),
        ("temperatures", POINTER(kd_array)),
        ("tails", POINTER(kd_array)),
        ("entropy", POINTER(kd_array)),
    ]
    struct_size: int
    kind: int
    vocabulary: int
    temperature: float
    offsets: Any
    ids: Any
    values: Any
    tail: Any
    temperatures: Any
    tails: Any
    entropy: Any


class kd_loss_options(Structure):
    """`kd_loss_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("memory_limit", c_int64),
        ("skip_bound", c_double),
    ]
    struct_size: int
    reserved: int
    memory_limit: int
    skip_bound: float


class kd_term_options(Structure):
    """`kd_term_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("t2", c_int32),
        ("student_output", c_char_p),
        ("teacher_field", c_char_p),
        ("label_field", c_char_p),
        ("mask_field", c_char_p),
        ("weight_field", c_char_p),
        ("align", c_int32),
        ("nonfinite", c_int32),
        ("count", c_int32),
        ("classes", c_int32),
        ("temperature", c_double),
        ("ignore_label", c_int64),
        ("tail", c_int32),
        ("retemper", c_int32),
        ("correction", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    t2: int
    student_output: _Text | None
    teacher_field: _Text | None
    label_field: _Text | None
    mask_field: _Text | None
    weight_field: _Text | None
    align: int
    nonfinite: int
    count: int
    classes: int
    temperature: float
    ignore_label: int
    tail: int
    retemper: int
    correction: int
    reserved: int


class kd_loss_counts(Structure):
    """`kd_loss_counts` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("terms", c_int32),
        ("rows", c_int64 * KD_LOSS_MAX_TERMS),
        ("weights", c_double * KD_LOSS_MAX_TERMS),
    ]
    struct_size: int
    terms: int
    rows: Any
    weights: Any


class kd_loss_result(Structure):
    """`kd_loss_result` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("terms", c_int32),
        ("value", c_double),
        ("sum", c_double * KD_LOSS_MAX_TERMS),
        ("rows", c_int64 * KD_LOSS_MAX_TERMS),
        ("skipped", c_int64 * KD_LOSS_MAX_TERMS),
        ("skipped_share", c_double),
        ("dw_error_bound", c_double),
        ("dh_error_bound", c_double),
    ]
    struct_size: int
    terms: int
    value: float
    sum: Any
    rows: Any
    skipped: Any
    skipped_share: float
    dw_error_bound: float
    dh_error_bound: float


class kd_loss_output(Structure):
    """`kd_loss_output` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("accumulate", c_int32),
        ("name", c_char_p),
        ("value", POINTER(kd_array)),
        ("gradient", POINTER(kd_array)),
        ("head", POINTER(kd_head)),
    ]
    struct_size: int
    accumulate: int
    name: _Text | None
    value: Any
    gradient: Any
    head: Any


class kd_loss_diagnostics(Structure):
    """`kd_loss_diagnostics` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("rows", c_int64),
        ("masked", c_int64),
        ("skipped", c_int64),
        ("guards", c_int64),
        ("teacher_log_likelihood", c_double),
        ("teacher_accuracy", c_double),
        ("agreement", c_double),
        ("teacher_entropy", c_double),
        ("student_entropy", c_double),
        ("captured_mass", c_double),
        ("student_mass", c_double),
        ("head_loss", c_double),
        ("tail_loss", c_double),
        ("corrected", c_int64),
        ("borrowed", c_int64),
        ("confidence", c_double),
        ("sampled", c_int64),
        ("sampled_log_likelihood", c_double),
        ("sampled_entropy", c_double),
        ("suspect", c_int32),
        ("reserved_end", c_int32),
        ("student_norm", c_double),
        ("teacher_norm", c_double),
        ("cosine", c_double),
        ("degenerate", c_int64),
        ("in_batch_accuracy", c_double),
        ("positive_rank", c_double),
        ("scale", c_double),
        ("student_pair_cosine", c_double),
        ("teacher_pair_cosine", c_double),
        ("explained", c_double),
        ("student_effective_rank", c_double),
        ("teacher_effective_rank", c_double),
        ("alignment", c_double),
        ("uniformity", c_double),
        ("modality_gap", c_double),
    ]
    struct_size: int
    reserved: int
    rows: int
    masked: int
    skipped: int
    guards: int
    teacher_log_likelihood: float
    teacher_accuracy: float
    agreement: float
    teacher_entropy: float
    student_entropy: float
    captured_mass: float
    student_mass: float
    head_loss: float
    tail_loss: float
    corrected: int
    borrowed: int
    confidence: float
    sampled: int
    sampled_log_likelihood: float
    sampled_entropy: float
    suspect: int
    reserved_end: int
    student_norm: float
    teacher_norm: float
    cosine: float
    degenerate: int
    in_batch_accuracy: float
    positive_rank: float
    scale: float
    student_pair_cosine: float
    teacher_pair_cosine: float
    explained: float
    student_effective_rank: float
    teacher_effective_rank: float
    alignment: float
    uniformity: float
    modality_gap: float


class kd_projection_options(Structure):
    """`kd_projection_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("start", c_int32),
        ("reserved", c_int32),
        ("name", c_char_p),
        ("from", c_int64),
        ("to", c_int64),
    ]
    struct_size: int
    kind: int
    start: int
    reserved: int
    name: _Text | None
    to: int


class kd_pair_options(Structure):
    """`kd_pair_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("directions", c_int32),
        ("positives", c_int32),
        ("reserved", c_int32),
        ("other_output", c_char_p),
        ("other_teacher_field", c_char_p),
        ("group_field", c_char_p),
        ("side_field", c_char_p),
        ("scale_output", c_char_p),
        ("bias_output", c_char_p),
    ]
    struct_size: int
    directions: int
    positives: int
    reserved: int
    other_output: _Text | None
    other_teacher_field: _Text | None
    group_field: _Text | None
    side_field: _Text | None
    scale_output: _Text | None
    bias_output: _Text | None


class kd_gradient_options(Structure):
    """`kd_gradient_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("tasks", c_int32),
        ("task_of", POINTER(c_int32)),
        ("output", c_char_p),
        ("counts", POINTER(kd_loss_counts)),
    ]
    struct_size: int
    tasks: int
    task_of: Any
    output: _Text | None
    counts: Any


class kd_plateau_options(Structure):
    """`kd_plateau_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("better", c_int32),
        ("patience", c_int32),
        ("cooldown", c_int32),
        ("recovery", c_int32),
        ("reserved", c_int32),
        ("value", c_double),
        ("factor", c_double),
        ("floor", c_double),
        ("min_change", c_double),
    ]
    struct_size: int
    better: int
    patience: int
    cooldown: int
    recovery: int
    reserved: int
    value: float
    factor: float
    floor: float
    min_change: float


class kd_taid_options(Structure):
    """`kd_taid_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("from", c_double),
        ("to", c_double),
        ("rate", c_double),
        ("momentum", c_double),
        ("steps", c_int64),
    ]
    struct_size: int
    reserved: int
    to: float
    rate: float
    momentum: float
    steps: int


class kd_balance_options(Structure):
    """`kd_balance_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("weights", POINTER(c_double)),
        ("decay", c_double),
        ("temperature", c_double),
        ("max_ratio", c_double),
    ]
    struct_size: int
    reserved: int
    weights: Any
    decay: float
    temperature: float
    max_ratio: float


class kd_optimizer_options(Structure):
    """`kd_optimizer_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("nesterov", c_int32),
        ("momentum", c_double),
        ("beta1", c_double),
        ("beta2", c_double),
        ("epsilon", c_double),
        ("weight_decay", c_double),
        ("clip_norm", c_double),
        ("clip_value", c_double),
        ("max_norm", c_double),
        ("average_decay", c_double),
        ("moments", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
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
    moments: int
    reserved: int


class kd_group_options(Structure):
    """`kd_group_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("frozen", c_int32),
        ("learning_rate", c_double),
        ("weight_decay", c_double),
        ("max_norm", c_double),
        ("lazy", c_int32),
        ("rule", c_int32),
    ]
    struct_size: int
    frozen: int
    learning_rate: float
    weight_decay: float
    max_norm: float
    lazy: int
    rule: int


class kd_optimizer_info(Structure):
    """`kd_optimizer_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("last_skipped", c_int32),
        ("steps", c_int64),
        ("skipped", c_int64),
        ("clipped", c_int64),
        ("gradient_norm", c_double),
    ]
    struct_size: int
    last_skipped: int
    steps: int
    skipped: int
    clipped: int
    gradient_norm: float


class kd_transport(Structure):
    """`kd_transport` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_int32),
        ("ranks", c_int32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("gather", CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p, c_int64)),
        ("start_pieces",
         CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, POINTER(c_int64), c_void_p, c_int64)),
        ("start_share", CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, POINTER(c_int64))),
        ("complete", CFUNCTYPE(c_int32, c_void_p, c_int32, c_int32, POINTER(c_int32))),
        ("destroy", CFUNCTYPE(None, c_void_p)),
    ]
    struct_size: int
    rank: int
    ranks: int
    reserved: int
    user: Any
    gather: Any
    start_pieces: Any
    start_share: Any
    complete: Any
    destroy: Any


class kd_exchange_options(Structure):
    """`kd_exchange_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("shard", c_int32),
        ("wire", c_int32),
        ("spread", c_int32),
        ("bucket_bytes", c_int64),
        ("patience", c_double),
    ]
    struct_size: int
    shard: int
    wire: int
    spread: int
    bucket_bytes: int
    patience: float


class kd_exchange_info(Structure):
    """`kd_exchange_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_int32),
        ("ranks", c_int32),
        ("slowest", c_int32),
        ("buckets", c_int64),
        ("state_bytes", c_int64),
        ("buffer_bytes", c_int64),
        ("sent_bytes", c_int64),
        ("early_bytes", c_int64),
        ("seconds", c_double),
        ("waited_seconds", c_double),
    ]
    struct_size: int
    rank: int
    ranks: int
    slowest: int
    buckets: int
    state_bytes: int
    buffer_bytes: int
    sent_bytes: int
    early_bytes: int
    seconds: float
    waited_seconds: float


class kd_monitor_options(Structure):
    """`kd_monitor_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("better", c_int32),
        ("patience", c_int32),
        ("keep_best", c_int32),
        ("min_change", c_double),
    ]
    struct_size: int
    better: int
    patience: int
    keep_best: int
    min_change: float


class kd_checkpoint_options(Structure):
    """`kd_checkpoint_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sync", c_int32),
    ]
    struct_size: int
    sync: int


class kd_metrics_options(Structure):
    """`kd_metrics_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("top_k", c_int32),
        ("calibration_bins", c_int32),
        ("bootstrap", c_int32),
        ("seed", c_uint64),
    ]
    struct_size: int
    top_k: int
    calibration_bins: int
    bootstrap: int
    seed: int


class kd_metric(Structure):
    """`kd_metric` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("value", c_double),
        ("standard_error", c_double),
        ("low", c_double),
        ("high", c_double),
        ("rows", c_int64),
    ]
    struct_size: int
    reserved: int
    value: float
    standard_error: float
    low: float
    high: float
    rows: int


class kd_latency(Structure):
    """`kd_latency` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("batch_size", c_int32),
        ("runs", c_int64),
        ("mean", c_double),
        ("p50", c_double),
        ("p90", c_double),
        ("p99", c_double),
        ("min", c_double),
        ("samples_per_second", c_double),
    ]
    struct_size: int
    batch_size: int
    runs: int
    mean: float
    p50: float
    p90: float
    p99: float
    min: float
    samples_per_second: float


class kd_store_field(Structure):
    """`kd_store_field` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("name", c_char_p),
        ("source", c_char_p),
        ("encoding", c_int32),
        ("bits", c_int32),
        ("width", c_int64),
        ("projection", c_int64),
        ("k", c_int64),
        ("mass", c_double),
        ("bytes", c_int64),
        ("draws", c_int64),
    ]
    struct_size: int
    kind: int
    name: _Text | None
    source: _Text | None
    encoding: int
    bits: int
    width: int
    projection: int
    k: int
    mass: float
    bytes: int
    draws: int


class kd_store_options(Structure):
    """`kd_store_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sync", c_int32),
        ("append", c_int32),
        ("shard", c_int32),
        ("teacher", c_char_p),
        ("vocabulary", c_int64),
        ("padded_vocabulary", c_int64),
        ("temperature", c_double),
        ("temperatures", POINTER(c_double)),
        ("temperature_count", c_int32),
        ("align", c_int32),
        ("tokenizer", c_char_p),
        ("chat_template", c_char_p),
        ("tokens", POINTER(c_char_p)),
        ("seed", c_uint64),
    ]
    struct_size: int
    sync: int
    append: int
    shard: int
    teacher: _Text | None
    vocabulary: int
    padded_vocabulary: int
    temperature: float
    temperatures: Any
    temperature_count: int
    align: int
    tokenizer: _Text | None
    chat_template: _Text | None
    tokens: Any
    seed: int


class kd_store_open_options(Structure):
    """`kd_store_open_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("pread", c_int32),
        ("align", c_int32),
        ("reserved", c_int32),
        ("tokenizer", c_char_p),
        ("chat_template", c_char_p),
        ("tokens", POINTER(c_char_p)),
        ("token_count", c_int64),
        ("exceptions", POINTER(c_int64)),
        ("exception_count", c_int64),
        ("part", c_int32),
        ("parts", c_int32),
    ]
    struct_size: int
    pread: int
    align: int
    reserved: int
    tokenizer: _Text | None
    chat_template: _Text | None
    tokens: Any
    token_count: int
    exceptions: Any
    exception_count: int
    part: int
    parts: int


class kd_store_info(Structure):
    """`kd_store_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("shards", c_int32),
        ("records", c_int64),
        ("replaced", c_int64),
        ("positions", c_int64),
        ("bytes", c_int64),
        ("torn_bytes", c_int64),
        ("damaged", c_int64),
        ("vocabulary", c_int64),
        ("temperature", c_double),
        ("align", c_int32),
        ("fields", c_int32),
    ]
    struct_size: int
    shards: int
    records: int
    replaced: int
    positions: int
    bytes: int
    torn_bytes: int
    damaged: int
    vocabulary: int
    temperature: float
    align: int
    fields: int


class kd_store_record(Structure):
    """`kd_store_record` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("shard", c_int32),
        ("key", c_uint64 * 2),
        ("view", c_int64),
        ("first", c_int64),
        ("positions", c_int64),
        ("bytes", c_int64),
        ("offset", c_int64),
    ]
    struct_size: int
    shard: int
    key: Any
    view: int
    first: int
    positions: int
    bytes: int
    offset: int


class kd_tokenizer_info(Structure):
    """`kd_tokenizer_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("padding_token", c_int32),
        ("padding_type", c_int32),
        ("reserved", c_int32),
        ("max_tokens", c_int64),
        ("padding_tokens", c_int64),
    ]
    struct_size: int
    padding_token: int
    padding_type: int
    reserved: int
    max_tokens: int
    padding_tokens: int


class kd_message(Structure):
    """`kd_message` of the headers."""

    _fields_ = [
        ("role", c_char_p),
        ("content", c_char_p),
        ("extra", c_char_p),
        ("skip", c_int32),
        ("reserved", c_int32),
    ]
    role: _Text | None
    content: _Text | None
    extra: _Text | None
    skip: int
    reserved: int


class kd_chat_options(Structure):
    """`kd_chat_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_int32),
        ("generation_prompt", c_int32),
        ("keep_reasoning", c_int32),
        ("tools", c_char_p),
        ("variables", c_char_p),
        ("now", c_int64),
    ]
    struct_size: int
    format: int
    generation_prompt: int
    keep_reasoning: int
    tools: _Text | None
    variables: _Text | None
    now: int


class kd_generator_options(Structure):
    """`kd_generator_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("max_sequences", c_int32),
        ("cache_tokens", c_int64),
        ("prefill_tokens", c_int32),
        ("weights", c_int32),
        ("tokenizer", c_void_p),
        ("cache", c_int32),
        ("reserved", c_int32),
        ("draft", c_void_p),
        ("draft_tokens", c_int32),
        ("lookup", c_int32),
        ("always_draft", c_int32),
        ("reserved_end", c_int32),
    ]
    struct_size: int
    max_sequences: int
    cache_tokens: int
    prefill_tokens: int
    weights: int
    tokenizer: Any
    cache: int
    reserved: int
    draft: Any
    draft_tokens: int
    lookup: int
    always_draft: int
    reserved_end: int


class kd_sampling(Structure):
    """`kd_sampling` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("max_tokens", c_int32),
        ("top_k", c_int32),
        ("temperature", c_double),
        ("top_p", c_double),
        ("min_p", c_double),
        ("repetition_penalty", c_double),
        ("seed", c_uint64),
        ("stop_tokens", POINTER(c_int32)),
        ("stop_token_count", c_int32),
        ("stop_text_count", c_int32),
        ("stop_texts", POINTER(c_char_p)),
        ("token", c_void_p),
        ("user", c_void_p),
        ("keep_hidden", c_int32),
        ("draw", c_int32),
    ]
    struct_size: int
    samples: int
    max_tokens: int
    top_k: int
    temperature: float
    top_p: float
    min_p: float
    repetition_penalty: float
    seed: int
    stop_tokens: Any
    stop_token_count: int
    stop_text_count: int
    stop_texts: Any
    token: Any
    user: Any
    keep_hidden: int
    draw: int


class kd_generated(Structure):
    """`kd_generated` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reason", c_int32),
        ("request", c_int64),
        ("sample", c_int32),
        ("reserved", c_int32),
        ("count", c_int64),
        ("ids", POINTER(c_int32)),
        ("logprobs", POINTER(c_float)),
        ("text", c_char_p),
        ("text_bytes", c_int64),
        ("hidden", kd_array),
    ]
    struct_size: int
    reason: int
    request: int
    sample: int
    reserved: int
    count: int
    ids: Any
    logprobs: Any
    text: _Text | None
    text_bytes: int
    hidden: Any


class kd_generator_info(Structure):
    """`kd_generator_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("block_tokens", c_int32),
        ("cache_bytes", c_int64),
        ("cache_tokens", c_int64),
        ("weight_bytes", c_int64),
        ("prompt_tokens", c_int64),
        ("shared_tokens", c_int64),
        ("tokens", c_int64),
        ("steps", c_int64),
        ("draft_bytes", c_int64),
        ("drafted", c_int64),
        ("accepted", c_int64),
        ("draft_gain", c_double),
    ]
    struct_size: int
    block_tokens: int
    cache_bytes: int
    cache_tokens: int
    weight_bytes: int
    prompt_tokens: int
    shared_tokens: int
    tokens: int
    steps: int
    draft_bytes: int
    drafted: int
    accepted: int
    draft_gain: float


class kd_beam_options(Structure):
    """`kd_beam_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("beams", c_int32),
        ("max_tokens", c_int32),
        ("stop_token", c_int32),
        ("length_penalty", c_double),
    ]
    struct_size: int
    beams: int
    max_tokens: int
    stop_token: int
    length_penalty: float


class kd_speed_options(Structure):
    """`kd_speed_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sequences", c_int32),
        ("prompt_tokens", c_int32),
        ("new_tokens", c_int32),
        ("repeats", c_int32),
        ("weights", c_int32),
        ("cache", c_int32),
    ]
    struct_size: int
    sequences: int
    prompt_tokens: int
    new_tokens: int
    repeats: int
    weights: int
    cache: int


class kd_speed(Structure):
    """`kd_speed` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sequences", c_int32),
        ("prompt_tokens_per_second", c_double),
        ("tokens_per_second", c_double),
        ("time_to_first_token", c_double),
        ("token_p50", c_double),
        ("token_p99", c_double),
        ("parameter_bytes", c_int64),
        ("cache_bytes", c_int64),
        ("peak_bytes", c_int64),
    ]
    struct_size: int
    sequences: int
    prompt_tokens_per_second: float
    tokens_per_second: float
    time_to_first_token: float
    token_p50: float
    token_p99: float
    parameter_bytes: int
    cache_bytes: int
    peak_bytes: int


class kd_student_options(Structure):
    """`kd_student_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("layers", c_int32),
        ("choose", c_int32),
        ("hidden_size", c_int32),
        ("intermediate_size", c_int32),
        ("key_value_heads", c_int32),
        ("layer_map", POINTER(c_int32)),
        ("calibration", c_void_p),
        ("config", c_char_p),
        ("model", kd_model_options),
    ]
    struct_size: int
    layers: int
    choose: int
    hidden_size: int
    intermediate_size: int
    key_value_heads: int
    layer_map: Any
    calibration: Any
    config: _Text | None
    model: Any


class kd_static_options(Structure):
    """`kd_static_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("hidden_size", c_int32),
        ("normalize", c_int32),
        ("batch_size", c_int32),
        ("sif_coefficient", c_double),
        ("output", c_char_p),
        ("skip", c_char_p),
        ("model", kd_model_options),
    ]
    struct_size: int
    hidden_size: int
    normalize: int
    batch_size: int
    sif_coefficient: float
    output: _Text | None
    skip: _Text | None
    model: Any


class kd_lora_options(Structure):
    """`kd_lora_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_int32),
        ("alpha", c_double),
        ("seed", c_uint64),
    ]
    struct_size: int
    rank: int
    alpha: float
    seed: int


class kd_mask_options(Structure):
    """`kd_mask_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("mask_token", c_int32),
        ("vocabulary_size", c_int64),
        ("special_tokens", POINTER(c_int32)),
        ("special_count", c_int32),
        ("reserved", c_int32),
        ("share", c_double),
        ("mask_share", c_double),
        ("random_share", c_double),
        ("seed", c_uint64),
        ("epoch", c_int64),
        ("tokens_field", c_char_p),
        ("label_field", POINTER(c_char_p)),
        ("mask_field", POINTER(c_char_p)),
    ]
    struct_size: int
    mask_token: int
    vocabulary_size: int
    special_tokens: Any
    special_count: int
    reserved: int
    share: float
    mask_share: float
    random_share: float
    seed: int
    epoch: int
    tokens_field: _Text | None
    label_field: Any
    mask_field: Any


class kd_lattice_options(Structure):
    """`kd_lattice_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_int32),
        ("every", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    format: int
    every: int
    reserved: int


class kd_lattice_info(Structure):
    """`kd_lattice_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("matrices", c_int32),
        ("numbers", c_int64),
        ("bits", c_double),
        ("error", c_double),
        ("changed_share", c_double),
        ("clipped_share", c_double),
    ]
    struct_size: int
    matrices: int
    numbers: int
    bits: float
    error: float
    changed_share: float
    clipped_share: float


class kd_gguf_rule(Structure):
    """`kd_gguf_rule` of the headers."""

    _fields_ = [
        ("pattern", c_char_p),
        ("format", c_int32),
        ("reserved", c_int32),
    ]
    pattern: _Text | None
    format: int
    reserved: int


class kd_gguf_options(Structure):
    """`kd_gguf_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_int32),
        ("mixture", c_int32),
        ("head", c_int32),
        ("end_token", c_int32),
        ("rule_count", c_int32),
        ("rules", POINTER(kd_gguf_rule)),
        ("name", c_char_p),
        ("importance", c_void_p),
    ]
    struct_size: int
    format: int
    mixture: int
    head: int
    end_token: int
    rule_count: int
    rules: Any
    name: _Text | None
    importance: Any


class kd_gguf_info(Structure):
    """`kd_gguf_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("fallbacks", c_int32),
        ("fallback", c_char_p),
        ("wanted", c_int32),
        ("used", c_int32),
        ("bytes", c_int64),
        ("bits", c_double),
        ("error", c_double),
        ("vanished", c_int64),
    ]
    struct_size: int
    fallbacks: int
    fallback: _Text | None
    wanted: int
    used: int
    bytes: int
    bits: float
    error: float
    vanished: int


class kd_record(Structure):
    """`kd_record` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sample", c_int32),
        ("message_count", c_int32),
        ("logprob_count", c_int32),
        ("line", c_int64),
        ("tokens", c_int64),
        ("key", c_uint64 * 2),
        ("prompt_key", c_uint64 * 2),
        ("seed", c_uint64),
        ("temperature", c_double),
        ("score", c_double),
        ("messages", POINTER(kd_message)),
        ("prompt", c_char_p),
        ("completion", c_char_p),
        ("expected", c_char_p),
        ("domain", c_char_p),
        ("id", c_char_p),
        ("teacher", c_char_p),
        ("finish", c_char_p),
        ("passed", c_char_p),
        ("extra", c_char_p),
        ("ids", POINTER(c_int32)),
        ("mask", c_void_p),
        ("logprobs", POINTER(c_double)),
        ("logprob_ends", POINTER(c_int64)),
        ("tools", c_char_p),
        ("variables", c_char_p),
    ]
    struct_size: int
    sample: int
    message_count: int
    logprob_count: int
    line: int
    tokens: int
    key: Any
    prompt_key: Any
    seed: int
    temperature: float
    score: float
    messages: Any
    prompt: _Text | None
    completion: _Text | None
    expected: _Text | None
    domain: _Text | None
    id: _Text | None
    teacher: _Text | None
    finish: _Text | None
    passed: _Text | None
    extra: _Text | None
    ids: Any
    mask: Any
    logprobs: Any
    logprob_ends: Any
    tools: _Text | None
    variables: _Text | None


class kd_record_options(Structure):
    """`kd_record_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("bad_lines", c_int32),
        ("line_bytes", c_int64),
        ("prompt_field", c_char_p),
        ("completion_field", c_char_p),
        ("expected_field", c_char_p),
        ("domain_field", c_char_p),
        ("unsupported", c_int32),
        ("unknown", c_int32),
        ("reasoning", c_int32),
        ("reserved", c_int32),
        ("part", c_int32),
        ("parts", c_int32),
    ]
    struct_size: int
    bad_lines: int
    line_bytes: int
    prompt_field: _Text | None
    completion_field: _Text | None
    expected_field: _Text | None
    domain_field: _Text | None
    unsupported: int
    unknown: int
    reasoning: int
    reserved: int
    part: int
    parts: int


class kd_record_counts(Structure):
    """`kd_record_counts` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("files", c_int32),
        ("lines", c_int64),
        ("records", c_int64),
        ("empty", c_int64),
        ("bad", c_int64),
        ("first_bad_line", c_int64),
        ("bytes", c_int64),
        ("broken_files", c_int64),
        ("unsupported", c_int64),
        ("unknown", c_int64),
        ("other_parts", c_int64),
    ]
    struct_size: int
    files: int
    lines: int
    records: int
    empty: int
    bad: int
    first_bad_line: int
    bytes: int
    broken_files: int
    unsupported: int
    unknown: int
    other_parts: int


class kd_record_writer_options(Structure):
    """`kd_record_writer_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("append", c_int32),
    ]
    struct_size: int
    append: int


class kd_verify_options(Structure):
    """`kd_verify_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("verifiers", c_int32),
        ("all", c_int32),
        ("format", c_int32),
        ("tolerance", c_double),
        ("pattern", c_char_p),
        ("function", c_void_p),
        ("user", c_void_p),
    ]
    struct_size: int
    verifiers: int
    all: int
    format: int
    tolerance: float
    pattern: _Text | None
    function: Any
    user: Any


class kd_pass_at_k(Structure):
    """`kd_pass_at_k` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("questions", c_int64),
        ("pass_1", c_double),
        ("standard_error", c_double),
        ("within_error", c_double),
        ("pass_k", c_double),
    ]
    struct_size: int
    samples: int
    questions: int
    pass_1: float
    standard_error: float
    within_error: float
    pass_k: float


class kd_answers_progress(Structure):
    """`kd_answers_progress` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("done", c_int64),
        ("total", c_int64),
        ("tokens", c_int64),
        ("right", c_int64),
        ("seconds", c_double),
        ("tokens_per_second", c_double),
        ("seconds_left", c_double),
    ]
    struct_size: int
    reserved: int
    done: int
    total: int
    tokens: int
    right: int
    seconds: float
    tokens_per_second: float
    seconds_left: float


class kd_answers_options(Structure):
    """`kd_answers_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("chat", c_int32),
        ("window", c_int32),
        ("max_prompts", c_int64),
        ("sampling", POINTER(kd_sampling)),
        ("function", c_void_p),
        ("user", c_void_p),
        ("verify", POINTER(kd_verify_options)),
        ("teacher", c_char_p),
        ("progress", CFUNCTYPE(c_int32, c_void_p, POINTER(kd_answers_progress))),
        ("progress_user", c_void_p),
        ("first", c_int64),
        ("chunk_prompts", c_int64),
        ("lease", c_double),
    ]
    struct_size: int
    samples: int
    chat: int
    window: int
    max_prompts: int
    sampling: Any
    function: Any
    user: Any
    verify: Any
    teacher: _Text | None
    progress: Any
    progress_user: Any
    first: int
    chunk_prompts: int
    lease: float


class kd_answers_result(Structure):
    """`kd_answers_result` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("questions", c_int64),
        ("pass", kd_pass_at_k),
        ("consensus", c_double),
        ("format_errors", c_double),
        ("unfinished", c_double),
        ("mean_bytes", c_double),
        ("mean_right_bytes", c_double),
    ]
    struct_size: int
    samples: int
    questions: int
    consensus: float
    format_errors: float
    unfinished: float
    mean_bytes: float
    mean_right_bytes: float


class kd_import_options(Structure):
    """`kd_import_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("byte_level", c_int32),
        ("field", c_char_p),
        ("token_table", c_char_p),
        ("max_unmapped", c_double),
        ("k", c_int64),
        ("positions", c_int64),
    ]
    struct_size: int
    byte_level: int
    field: _Text | None
    token_table: _Text | None
    max_unmapped: float
    k: int
    positions: int


class kd_import_counts(Structure):
    """`kd_import_counts` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("lines", c_int64),
        ("records", c_int64),
        ("positions", c_int64),
        ("entries", c_int64),
        ("unmapped", c_int64),
        ("absent", c_int64),
        ("duplicates", c_int64),
    ]
    struct_size: int
    reserved: int
    lines: int
    records: int
    positions: int
    entries: int
    unmapped: int
    absent: int
    duplicates: int


class kd_arrow_options(Structure):
    """`kd_arrow_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("once", c_int32),
        ("records", POINTER(kd_record_options)),
    ]
    struct_size: int
    once: int
    records: Any


class kd_filter_options(Structure):
    """`kd_filter_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("unit", c_int32),
        ("ngram", c_int32),
        ("choose", c_int32),
        ("name", c_char_p),
        ("verify", POINTER(kd_verify_options)),
        ("tests", c_void_p),
        ("function", c_void_p),
        ("user", c_void_p),
        ("domains", POINTER(c_char_p)),
        ("shares", POINTER(c_double)),
        ("domain_count", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    unit: int
    ngram: int
    choose: int
    name: _Text | None
    verify: Any
    tests: Any
    function: Any
    user: Any
    domains: Any
    shares: Any
    domain_count: int
    reserved: int


class kd_curation_options(Structure):
    """`kd_curation_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("seed", c_uint64),
        ("validation", c_double),
        ("tokenizer", c_void_p),
        ("folder", c_char_p),
        ("memory", c_int64),
    ]
    struct_size: int
    reserved: int
    seed: int
    validation: float
    tokenizer: Any
    folder: _Text | None
    memory: int


class kd_funnel(Structure):
    """`kd_funnel` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reasons", c_int32),
        ("name", c_char_p),
        ("seen", c_int64),
        ("dropped", c_int64),
        ("kept", c_int64),
        ("kept_bytes", c_int64),
        ("kept_prompts", c_int64),
    ]
    struct_size: int
    reasons: int
    name: _Text | None
    seen: int
    dropped: int
    kept: int
    kept_bytes: int
    kept_prompts: int


class kd_augment_options(Structure):
    """`kd_augment_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("copies", c_int32),
        ("keep_expected", c_int32),
        ("seed", c_uint64),
        ("low", c_double),
        ("high", c_double),
        ("templates", POINTER(c_char_p)),
        ("template_count", c_int32),
        ("reserved", c_int32),
        ("function", c_void_p),
        ("user", c_void_p),
        ("name", c_char_p),
    ]
    struct_size: int
    kind: int
    copies: int
    keep_expected: int
    seed: int
    low: float
    high: float
    templates: Any
    template_count: int
    reserved: int
    function: Any
    user: Any
    name: _Text | None


class kd_augment_counts(Structure):
    """`kd_augment_counts` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("read", c_int64),
        ("written", c_int64),
        ("known", c_int64),
        ("refused", c_int64),
        ("skipped", c_int64),
    ]
    struct_size: int
    reserved: int
    read: int
    written: int
    known: int
    refused: int
    skipped: int


class kd_packer_options(Structure):
    """`kd_packer_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("chat", c_int32),
        ("batch_tokens", c_int64),
        ("max_tokens", c_int64),
        ("end_token", c_int32),
        ("train_on_prompt", c_int32),
        ("batch_texts", c_int64),
        ("seed", c_uint64),
        ("keep_reasoning", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    chat: int
    batch_tokens: int
    max_tokens: int
    end_token: int
    train_on_prompt: int
    batch_texts: int
    seed: int
    keep_reasoning: int
    reserved: int


class kd_packer_info(Structure):
    """`kd_packer_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("tasks", c_int32),
        ("texts", c_int64),
        ("tokens", c_int64),
        ("answer_tokens", c_int64),
        ("cut", c_int64),
        ("batches", c_int64),
        ("texts_given", c_int64),
        ("tokens_given", c_int64),
        ("epochs", c_double),
    ]
    struct_size: int
    tasks: int
    texts: int
    tokens: int
    answer_tokens: int
    cut: int
    batches: int
    texts_given: int
    tokens_given: int
    epochs: float


class kd_recipe(Structure):
    """`kd_recipe` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("optimizer", c_int32),
        ("epochs", c_double),
        ("learning_rate", c_double),
        ("floor", c_double),
        ("warmup", c_double),
        ("weight_decay", c_double),
        ("beta1", c_double),
        ("beta2", c_double),
        ("clip_norm", c_double),
        ("batch_texts", c_int32),
        ("patience", c_int32),
        ("max_tokens", c_int64),
        ("soft_weight", c_double),
        ("temperature", c_double),
        ("last_temperature", c_double),
        ("sampling_temperature", c_double),
        ("top_p", c_double),
        ("samples", c_int32),
        ("max_new_tokens", c_int32),
    ]
    struct_size: int
    optimizer: int
    epochs: float
    learning_rate: float
    floor: float
    warmup: float
    weight_decay: float
    beta1: float
    beta2: float
    clip_norm: float
    batch_texts: int
    patience: int
    max_tokens: int
    soft_weight: float
    temperature: float
    last_temperature: float
    sampling_temperature: float
    top_p: float
    samples: int
    max_new_tokens: int


class kd_audio_options(Structure):
    """`kd_audio_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sample_rate", c_int32),
        ("mono", c_int32),
        ("reserved", c_int32),
    ]
    struct_size: int
    sample_rate: int
    mono: int
    reserved: int


class kd_audio_info(Structure):
    """`kd_audio_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sample_rate", c_int32),
        ("channels", c_int32),
        ("reserved", c_int32),
        ("samples", c_int64),
    ]
    struct_size: int
    sample_rate: int
    channels: int
    reserved: int
    samples: int


class kd_resample_options(Structure):
    """`kd_resample_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("window", c_int32),
        ("zero_crossings", c_int32),
        ("reserved", c_int32),
        ("rolloff", c_double),
        ("beta", c_double),
    ]
    struct_size: int
    window: int
    zero_crossings: int
    reserved: int
    rolloff: float
    beta: float


class kd_mel_options(Structure):
    """`kd_mel_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("sample_rate", c_int32),
        ("sound_length", c_int64),
        ("gain", c_double),
        ("framing", c_int32),
        ("hop", c_int32),
        ("window_length", c_int32),
        ("fft_size", c_int32),
        ("remove_mean", c_int32),
        ("window", c_int32),
        ("preemphasis", c_double),
        ("symmetric", c_int32),
        ("power", c_int32),
        ("mels", c_int32),
        ("scale", c_int32),
        ("mel_triangles", c_int32),
        ("equal_area", c_int32),
        ("low", c_double),
        ("high", c_double),
        ("floor", c_double),
        ("offset", c_double),
        ("log", c_int32),
        ("drop_last", c_int32),
        ("range", c_double),
        ("frames", c_int64),
        ("normalize", c_int32),
        ("reserved", c_int32),
        ("mean", c_double),
        ("std", c_double),
    ]
    struct_size: int
    sample_rate: int
    sound_length: int
    gain: float
    framing: int
    hop: int
    window_length: int
    fft_size: int
    remove_mean: int
    window: int
    preemphasis: float
    symmetric: int
    power: int
    mels: int
    scale: int
    mel_triangles: int
    equal_area: int
    low: float
    high: float
    floor: float
    offset: float
    log: int
    drop_last: int
    range: float
    frames: int
    normalize: int
    reserved: int
    mean: float
    std: float


class kd_difference(Structure):
    """`kd_difference` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("a", c_double),
        ("b", c_double),
        ("difference", c_double),
        ("standard_error", c_double),
        ("low", c_double),
        ("high", c_double),
        ("p_value", c_double),
        ("only_a", c_int64),
        ("only_b", c_int64),
    ]
    struct_size: int
    reserved: int
    a: float
    b: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float
    only_a: int
    only_b: int


class kd_plan_options(Structure):
    """`kd_plan_options` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("ranks", c_int32),
        ("student", c_char_p),
        ("teacher", c_char_p),
        ("samples", c_int64),
        ("tokens", c_int64),
        ("length_deviation", c_double),
        ("answer_share", c_double),
        ("token_bytes", c_double),
        ("epochs", c_double),
        ("batch_tokens", c_int64),
        ("pass_tokens", c_int64),
        ("recompute", c_int32),
        ("recompute_layers", c_int32),
        ("activations", c_int32),
        ("shared_gradients", c_int32),
        ("state_bytes", c_int32),
        ("shard", c_int32),
        ("wire", c_int32),
        ("clip", c_int32),
        ("bucket_bytes", c_int64),
        ("kind", c_int32),
        ("bits", c_int32),
        ("encoding", c_int32),
        ("reserved", c_int32),
        ("entries", c_int64),
        ("position_bytes", c_double),
        ("flops", c_double),
        ("efficiency", c_double),
        ("memory_bytes", c_double),
        ("disk_bytes", c_double),
        ("link_bytes", c_double),
        ("latency", c_double),
        ("decode_rate", c_double),
        ("failure_hours", c_double),
        ("update_bytes", c_double),
    ]
    struct_size: int
    ranks: int
    student: _Text | None
    teacher: _Text | None
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
    activations: int
    shared_gradients: int
    state_bytes: int
    shard: int
    wire: int
    clip: int
    bucket_bytes: int
    kind: int
    bits: int
    encoding: int
    reserved: int
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


class kd_plan_info(Structure):
    """`kd_plan_info` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("ranks", c_int32),
        ("advice", c_int32),
        ("reserved", c_int32),
        ("parameters", c_int64),
        ("keys", c_double),
        ("forward_flops", c_double),
        ("train_flops", c_double),
        ("attention_share", c_double),
        ("steps", c_int64),
        ("rank_tokens", c_double),
        ("step_seconds", c_double),
        ("tokens_per_second", c_double),
        ("hours", c_double),
        ("parameter_bytes", c_int64),
        ("gradient_bytes", c_int64),
        ("state_bytes", c_int64),
        ("activation_bytes", c_int64),
        ("loss_bytes", c_int64),
        ("target_bytes", c_int64),
        ("buffer_bytes", c_int64),
        ("data_bytes", c_int64),
        ("total_bytes", c_int64),
        ("sent_bytes", c_double),
        ("exchange_seconds", c_double),
        ("exposed_seconds", c_double),
        ("network_share", c_double),
        ("unhidden_share", c_double),
        ("teacher_forward_flops", c_double),
        ("capture_hours", c_double),
        ("position_bytes", c_double),
        ("store_bytes", c_double),
        ("text_bytes", c_double),
        ("store_read_seconds", c_double),
        ("checkpoint_bytes", c_double),
        ("save_seconds", c_double),
        ("save_interval", c_double),
        ("update_seconds", c_double),
    ]
    struct_size: int
    ranks: int
    advice: int
    reserved: int
    parameters: int
    keys: float
    forward_flops: float
    train_flops: float
    attention_share: float
    steps: int
    rank_tokens: float
    step_seconds: float
    tokens_per_second: float
    hours: float
    parameter_bytes: int
    gradient_bytes: int
    state_bytes: int
    activation_bytes: int
    loss_bytes: int
    target_bytes: int
    buffer_bytes: int
    data_bytes: int
    total_bytes: int
    sent_bytes: float
    exchange_seconds: float
    exposed_seconds: float
    network_share: float
    unhidden_share: float
    teacher_forward_flops: float
    capture_hours: float
    position_bytes: float
    store_bytes: float
    text_bytes: float
    store_read_seconds: float
    checkpoint_bytes: float
    save_seconds: float
    save_interval: float
    update_seconds: float


class kd_plan_machine(Structure):
    """`kd_plan_machine` of the headers."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("flops", c_double),
        ("efficiency", c_double),
        ("disk_bytes", c_double),
        ("seconds", c_double),
        ("update_bytes", c_double),
    ]
    struct_size: int
    threads: int
    flops: float
    efficiency: float
    disk_bytes: float
    seconds: float
    update_bytes: float


STRUCTS: list[type[Structure]] = [
    kd_array,
    kd_allocator,
    kd_logger,
    kd_progress,
    kd_matmul,
    kd_context_options,
    kd_context_info,
    kd_dataset_options,
    kd_field_options,
    kd_csv_options,
    kd_pseudo_label_options,
    kd_pseudo_label_counts,
    kd_loader_options,
    kd_batch_options,
    kd_resize_options,
    kd_model_options,
    kd_model_save_options,
    kd_model_memory_info,
    kd_output_info,
    kd_model_info,
    kd_head,
    kd_teacher_options,
    kd_ensemble_options,
    kd_teacher_callbacks,
    kd_targets_options,
    kd_sparse,
    kd_loss_options,
    kd_term_options,
    kd_loss_counts,
    kd_loss_result,
    kd_loss_output,
    kd_loss_diagnostics,
    kd_projection_options,
    kd_pair_options,
    kd_gradient_options,
    kd_plateau_options,
    kd_taid_options,
    kd_balance_options,
    kd_optimizer_options,
    kd_group_options,
    kd_optimizer_info,
    kd_transport,
    kd_exchange_options,
    kd_exchange_info,
    kd_monitor_options,
    kd_checkpoint_options,
    kd_metrics_options,
    kd_metric,
    kd_latency,
    kd_store_field,
    kd_store_options,
    kd_store_open_options,
    kd_store_info,
    kd_store_record,
    kd_tokenizer_info,
    kd_message,
    kd_chat_options,
    kd_generator_options,
    kd_sampling,
    kd_generated,
    kd_generator_info,
    kd_beam_options,
    kd_speed_options,
    kd_speed,
    kd_student_options,
    kd_static_options,
    kd_lora_options,
    kd_mask_options,
    kd_lattice_options,
    kd_lattice_info,
    kd_gguf_rule,
    kd_gguf_options,
    kd_gguf_info,
    kd_record,
    kd_record_options,
    kd_record_counts,
    kd_record_writer_options,
    kd_verify_options,
    kd_pass_at_k,
    kd_answers_progress,
    kd_answers_options,
    kd_answers_result,
    kd_import_options,
    kd_import_counts,
    kd_arrow_options,
    kd_filter_options,
    kd_curation_options,
    kd_funnel,
    kd_augment_options,
    kd_augment_counts,
    kd_packer_options,
    kd_packer_info,
    kd_recipe,
    kd_audio_options,
    kd_audio_info,
    kd_resample_options,
    kd_mel_options,
    kd_difference,
    kd_plan_options,
    kd_plan_info,
    kd_plan_machine,
]

#: constant of C: its enumeration and member here
CONSTANTS: dict[str, tuple[str, str]] = {
    "KD_OK": ("Status", "OK"),
    "KD_END": ("Status", "END"),
    "KD_ERR_INVALID": ("Status", "ERR_INVALID"),
    "KD_ERR_MEMORY": ("Status", "ERR_MEMORY"),
    "KD_ERR_SHAPE": ("Status", "ERR_SHAPE"),
    "KD_ERR_DTYPE": ("Status", "ERR_DTYPE"),
    "KD_ERR_RANGE": ("Status", "ERR_RANGE"),
    "KD_ERR_NOT_FOUND": ("Status", "ERR_NOT_FOUND"),
    "KD_ERR_IO": ("Status", "ERR_IO"),
    "KD_ERR_FORMAT": ("Status", "ERR_FORMAT"),
    "KD_ERR_VERSION": ("Status", "ERR_VERSION"),
    "KD_ERR_CONFIG": ("Status", "ERR_CONFIG"),
    "KD_ERR_NONFINITE": ("Status", "ERR_NONFINITE"),
    "KD_ERR_STATE": ("Status", "ERR_STATE"),
    "KD_ERR_CANCELED": ("Status", "ERR_CANCELED"),
    "KD_ERR_CALLBACK": ("Status", "ERR_CALLBACK"),
    "KD_ERR_UNSUPPORTED": ("Status", "ERR_UNSUPPORTED"),
    "KD_ERR_MISMATCH": ("Status", "ERR_MISMATCH"),
    "KD_ERR_THREAD": ("Status", "ERR_THREAD"),
    "KD_ERR_PEER": ("Status", "ERR_PEER"),
    "KD_FLOAT32": ("DType", "FLOAT32"),
    "KD_FLOAT64": ("DType", "FLOAT64"),
    "KD_FLOAT16": ("DType", "FLOAT16"),
    "KD_BFLOAT16": ("DType", "BFLOAT16"),
    "KD_INT8": ("DType", "INT8"),
    "KD_INT16": ("DType", "INT16"),
    "KD_INT32": ("DType", "INT32"),
    "KD_INT64": ("DType", "INT64"),
    "KD_UINT8": ("DType", "UINT8"),
    "KD_UINT16": ("DType", "UINT16"),
    "KD_UINT32": ("DType", "UINT32"),
    "KD_UINT64": ("DType", "UINT64"),
    "KD_LOG_ERROR": ("LogLevel", "ERROR"),
    "KD_LOG_WARNING": ("LogLevel", "WARNING"),
    "KD_LOG_INFO": ("LogLevel", "INFO"),
    "KD_ISA_AUTO": ("Isa", "AUTO"),
    "KD_ISA_PORTABLE": ("Isa", "PORTABLE"),
    "KD_ISA_AVX2": ("Isa", "AVX2"),
    "KD_ISA_AVX512": ("Isa", "AVX512"),
    "KD_GEMM_AUTO": ("Gemm", "AUTO"),
    "KD_GEMM_BLAS": ("Gemm", "BLAS"),
    "KD_GEMM_OWN": ("Gemm", "OWN"),
    "KD_PRECISION_FLOAT32": ("Products", "FLOAT32"),
    "KD_PRECISION_BFLOAT16": ("Products", "BFLOAT16"),
    "KD_PRECISION_MEASURED": ("Products", "MEASURED"),
    "KD_RESAMPLE_LANCZOS": ("Resample", "LANCZOS"),
    "KD_RESAMPLE_BILINEAR": ("Resample", "BILINEAR"),
    "KD_RESAMPLE_BICUBIC": ("Resample", "BICUBIC"),
    "KD_RESAMPLE_BOX": ("Resample", "BOX"),
    "KD_BLOCK_Q4_0": ("Block", "Q4_0"),
    "KD_BLOCK_Q4_1": ("Block", "Q4_1"),
    "KD_BLOCK_Q5_0": ("Block", "Q5_0"),
    "KD_BLOCK_Q5_1": ("Block", "Q5_1"),
    "KD_BLOCK_Q8_0": ("Block", "Q8_0"),
    "KD_BLOCK_Q2_K": ("Block", "Q2_K"),
    "KD_BLOCK_Q3_K": ("Block", "Q3_K"),
    "KD_BLOCK_Q4_K": ("Block", "Q4_K"),
    "KD_BLOCK_Q5_K": ("Block", "Q5_K"),
    "KD_BLOCK_Q6_K": ("Block", "Q6_K"),
    "KD_BLOCK_IQ4_NL": ("Block", "IQ4_NL"),
    "KD_BLOCK_IQ4_XS": ("Block", "IQ4_XS"),
    "KD_BLOCK_MXFP4": ("Block", "MXFP4"),
    "KD_MIX_PURE": ("Mix", "PURE"),
    "KD_MIX_SMALL": ("Mix", "SMALL"),
    "KD_MIX_MEDIUM": ("Mix", "MEDIUM"),
    "KD_MODE_EVALUATE": ("Mode", "EVALUATE"),
    "KD_MODE_TRAIN": ("Mode", "TRAIN"),
    "KD_MODE_REHEARSE": ("Mode", "REHEARSE"),
    "KD_UNIT_OF_ROW": ("OutputUnit", "ROW"),
    "KD_UNIT_OF_SAMPLE": ("OutputUnit", "SAMPLE"),
    "KD_UNIT_OF_BATCH": ("OutputUnit", "BATCH"),
    "KD_LAYERS_UNIFORM": ("LayerChoice", "UNIFORM"),
    "KD_LAYERS_FIRST": ("LayerChoice", "FIRST"),
    "KD_LAYERS_LAST": ("LayerChoice", "LAST"),
    "KD_LAYERS_BLOCKS": ("LayerChoice", "BLOCKS"),
    "KD_LAYERS_INFLUENCE": ("LayerChoice", "INFLUENCE"),
    "KD_LAYERS_GREEDY": ("LayerChoice", "GREEDY"),
    "KD_ALIGN_SAME": ("Align", "SAME"),
    "KD_ALIGN_NEXT": ("Align", "NEXT"),
    "KD_LOOKUP_INDEX": ("Lookup", "INDEX"),
    "KD_LOOKUP_KEY": ("Lookup", "KEY"),
    "KD_MISSING_ERROR": ("Missing", "ERROR"),
    "KD_MISSING_ABSENT": ("Missing", "ABSENT"),
    "KD_MEAN_OF_PROBABILITIES": ("Mean", "PROBABILITIES"),
    "KD_MEAN_OF_LOGITS": ("Mean", "LOGITS"),
    "KD_SPARSE_TOPK": ("SparseKind", "TOPK"),
    "KD_SPARSE_COUNTS": ("SparseKind", "COUNTS"),
    "KD_STORE_DENSE": ("StoreKind", "DENSE"),
    "KD_STORE_TOPK": ("StoreKind", "TOPK"),
    "KD_STORE_COUNTS": ("StoreKind", "COUNTS"),
    "KD_STORE_HIDDEN": ("StoreKind", "HIDDEN"),
    "KD_STORE_VECTORS": ("StoreKind", "VECTORS"),
    "KD_STORE_LABELS": ("StoreKind", "LABELS"),
    "KD_STORE_TEXT": ("StoreKind", "TEXT"),
    "KD_STORE_SCORE": ("StoreKind", "SCORE"),
    "KD_STORE_SEED": ("StoreKind", "SEED"),
    "KD_STORE_EMBEDDING": ("StoreKind", "EMBEDDING"),
    "KD_SYNC_NEVER": ("Sync", "NEVER"),
    "KD_SYNC_CLOSE": ("Sync", "CLOSE"),
    "KD_SYNC_COMMIT": ("Sync", "COMMIT"),
    "KD_IMPORT_OPENAI": ("ImportFormat", "OPENAI"),
    "KD_IMPORT_VLLM": ("ImportFormat", "VLLM"),
    "KD_IMPORT_FLAT": ("ImportFormat", "FLAT"),
    "KD_IMPORT_LLAMA_CPP": ("ImportFormat", "LLAMA_CPP"),
    "KD_IMPORT_SGLANG": ("ImportFormat", "SGLANG"),
    "KD_IMPORT_TGI": ("ImportFormat", "TGI"),
    "KD_TOKENIZER_ADD_SPECIAL": ("TextFlag", "ADD_SPECIAL"),
    "KD_TOKENIZER_SKIP_SPECIAL": ("TextFlag", "SKIP_SPECIAL"),
    "KD_TOKEN_SPECIAL": ("TokenFlag", "SPECIAL"),
    "KD_TOKEN_ADDED": ("TokenFlag", "ADDED"),
    "KD_END_TOKEN_NONE": ("EndToken", "NONE"),
    "KD_END_TOKEN_DEFAULT": ("EndToken", "DEFAULT"),
    "KD_HASH_TOKENIZER": ("HashKind", "TOKENIZER"),
    "KD_HASH_TEMPLATE": ("HashKind", "TEMPLATE"),
    "KD_CHAT_PROMPT_NONE": ("ChatPrompt", "NONE"),
    "KD_CHAT_PROMPT_ANSWER": ("ChatPrompt", "ANSWER"),
    "KD_CHAT_PROMPT_CONTINUE": ("ChatPrompt", "CONTINUE"),
    "KD_CHAT_PROMPT_CONTINUE_THOUGHT": ("ChatPrompt", "CONTINUE_THOUGHT"),
    "KD_CHAT_PLAIN": ("ChatFormat", "PLAIN"),
    "KD_CHAT_AUTO": ("ChatFormat", "AUTO"),
    "KD_CHAT_CHATML": ("ChatFormat", "CHATML"),
    "KD_CHAT_LLAMA3": ("ChatFormat", "LLAMA3"),
    "KD_CHAT_LLAMA2": ("ChatFormat", "LLAMA2"),
    "KD_CHAT_DEEPSEEK": ("ChatFormat", "DEEPSEEK"),
    "KD_BAD_LINES_REFUSE": ("BadLines", "REFUSE"),
    "KD_BAD_LINES_SKIP": ("BadLines", "SKIP"),
    "KD_MEMBERS_REFUSE": ("Members", "REFUSE"),
    "KD_MEMBERS_KEEP": ("Members", "KEEP"),
    "KD_MEMBERS_DROP": ("Members", "DROP"),
    "KD_REASONING_TAGS": ("Reasoning", "TAGS"),
    "KD_REASONING_MEMBER": ("Reasoning", "MEMBER"),
    "KD_DRAW_INVERSE": ("Draw", "INVERSE"),
    "KD_DRAW_GUMBEL": ("Draw", "GUMBEL"),
    "KD_STOP_LENGTH": ("StopReason", "LENGTH"),
    "KD_STOP_TOKEN": ("StopReason", "TOKEN"),
    "KD_STOP_TEXT": ("StopReason", "TEXT"),
    "KD_STOP_HOST": ("StopReason", "HOST"),
    "KD_VERIFY_EXACT": ("Verifier", "EXACT"),
    "KD_VERIFY_NORMALIZED": ("Verifier", "NORMALIZED"),
    "KD_VERIFY_NUMBER": ("Verifier", "NUMBER"),
    "KD_VERIFY_CHOICE": ("Verifier", "CHOICE"),
    "KD_VERIFY_LATEX": ("Verifier", "LATEX"),
    "KD_VERIFY_PATTERN": ("Verifier", "PATTERN"),
    "KD_VERIFY_HOST": ("Verifier", "HOST"),
    "KD_FORMAT_THINK": ("AnswerFormat", "THINK"),
    "KD_FORMAT_BOXED": ("AnswerFormat", "BOXED"),
    "KD_LOSS_CROSS_ENTROPY": ("LossKind", "CROSS_ENTROPY"),
    "KD_LOSS_FORWARD_KL": ("LossKind", "FORWARD_KL"),
    "KD_LOSS_REVERSE_KL": ("LossKind", "REVERSE_KL"),
    "KD_LOSS_JSD": ("LossKind", "JSD"),
    "KD_LOSS_LOGIT_MSE": ("LossKind", "LOGIT_MSE"),
    "KD_LOSS_DKD": ("LossKind", "DKD"),
    "KD_LOSS_BINARY_CROSS_ENTROPY": ("LossKind", "BINARY_CROSS_ENTROPY"),
    "KD_LOSS_BINARY_KL": ("LossKind", "BINARY_KL"),
    "KD_LOSS_MEAN_SQUARED_ERROR": ("LossKind", "MEAN_SQUARED_ERROR"),
    "KD_LOSS_HUBER": ("LossKind", "HUBER"),
    "KD_LOSS_SKEWED_FORWARD_KL": ("LossKind", "SKEWED_FORWARD_KL"),
    "KD_LOSS_SKEWED_REVERSE_KL": ("LossKind", "SKEWED_REVERSE_KL"),
    "KD_LOSS_TOTAL_VARIATION": ("LossKind", "TOTAL_VARIATION"),
    "KD_LOSS_ALPHA_BETA": ("LossKind", "ALPHA_BETA"),
    "KD_LOSS_ADAPTIVE_KL": ("LossKind", "ADAPTIVE_KL"),
    "KD_LOSS_TAID": ("LossKind", "TAID"),
    "KD_LOSS_STANDARDIZED_KL": ("LossKind", "STANDARDIZED_KL"),
    "KD_LOSS_DIST": ("LossKind", "DIST"),
    "KD_LOSS_ULD": ("LossKind", "ULD"),
    "KD_LOSS_POLICY_GRADIENT": ("LossKind", "POLICY_GRADIENT"),
    "KD_LOSS_ACCEPTANCE": ("LossKind", "ACCEPTANCE"),
    "KD_LOSS_HIDDEN_COSINE": ("LossKind", "HIDDEN_COSINE"),
    "KD_LOSS_HIDDEN_DISTANCE": ("LossKind", "HIDDEN_DISTANCE"),
    "KD_LOSS_VARIATIONAL": ("LossKind", "VARIATIONAL"),
    "KD_LOSS_ATTENTION_TRANSFER": ("LossKind", "ATTENTION_TRANSFER"),
    "KD_LOSS_SIMILARITY": ("LossKind", "SIMILARITY"),
    "KD_LOSS_GRAM": ("LossKind", "GRAM"),
    "KD_LOSS_RKD_DISTANCE": ("LossKind", "RKD_DISTANCE"),
    "KD_LOSS_RKD_ANGLE": ("LossKind", "RKD_ANGLE"),
    "KD_LOSS_PKT": ("LossKind", "PKT"),
    "KD_LOSS_CKA": ("LossKind", "CKA"),
    "KD_LOSS_RELATION_KL": ("LossKind", "RELATION_KL"),
    "KD_LOSS_ATTENTION_RELATION": ("LossKind", "ATTENTION_RELATION"),
    "KD_LOSS_ATTENTION_KL": ("LossKind", "ATTENTION_KL"),
    "KD_LOSS_ATTENTION_MSE": ("LossKind", "ATTENTION_MSE"),
    "KD_LOSS_CONTRASTIVE": ("LossKind", "CONTRASTIVE"),
    "KD_LOSS_SIGMOID_CONTRASTIVE": ("LossKind", "SIGMOID_CONTRASTIVE"),
    "KD_LOSS_AFFINITY_KL": ("LossKind", "AFFINITY_KL"),
    "KD_LOSS_MARGIN_MSE": ("LossKind", "MARGIN_MSE"),
    "KD_LOSS_LISTWISE_KL": ("LossKind", "LISTWISE_KL"),
    "KD_T2_DEFAULT": ("T2", "DEFAULT"),
    "KD_T2_ON": ("T2", "ON"),
    "KD_T2_OFF": ("T2", "OFF"),
    "KD_TAIL_BUCKET": ("Tail", "BUCKET"),
    "KD_TAIL_UNIFORM": ("Tail", "UNIFORM"),
    "KD_TAIL_RENORM_TEACHER": ("Tail", "RENORM_TEACHER"),
    "KD_TAIL_RENORM_BOTH": ("Tail", "RENORM_BOTH"),
    "KD_TAIL_TRUNCATE": ("Tail", "TRUNCATE"),
    "KD_RETEMPER_EXACT": ("Retemper", "EXACT"),
    "KD_RETEMPER_UNIFORM": ("Retemper", "UNIFORM"),
    "KD_RETEMPER_BETWEEN": ("Retemper", "BETWEEN"),
    "KD_CORRECT_NONE": ("Correction", "NONE"),
    "KD_CORRECT_DROP": ("Correction", "DROP"),
    "KD_CORRECT_SWAP": ("Correction", "SWAP"),
    "KD_CORRECT_MIX": ("Correction", "MIX"),
    "KD_NONFINITE_REFUSE": ("Nonfinite", "REFUSE"),
    "KD_NONFINITE_SKIP": ("Nonfinite", "SKIP"),
    "KD_COUNT_ROWS": ("Count", "ROWS"),
    "KD_COUNT_WEIGHTS": ("Count", "WEIGHTS"),
    "KD_TERM_TEMPERATURE": ("TermNumber", "TEMPERATURE"),
    "KD_TERM_WEIGHT": ("TermNumber", "WEIGHT"),
    "KD_TERM_LABEL_SMOOTHING": ("TermNumber", "LABEL_SMOOTHING"),
    "KD_TERM_TEACHER_SHARE": ("TermNumber", "TEACHER_SHARE"),
    "KD_TERM_DKD_ALPHA": ("TermNumber", "DKD_ALPHA"),
    "KD_TERM_DKD_BETA": ("TermNumber", "DKD_BETA"),
    "KD_TERM_HUBER_DELTA": ("TermNumber", "HUBER_DELTA"),
    "KD_TERM_SKEW": ("TermNumber", "SKEW"),
    "KD_TERM_AB_ALPHA": ("TermNumber", "AB_ALPHA"),
    "KD_TERM_AB_BETA": ("TermNumber", "AB_BETA"),
    "KD_TERM_HEAD_MASS": ("TermNumber", "HEAD_MASS"),
    "KD_TERM_PROGRESS": ("TermNumber", "PROGRESS"),
    "KD_TERM_CONFIDENCE_POWER": ("TermNumber", "CONFIDENCE_POWER"),
    "KD_TERM_LOG_FLOOR": ("TermNumber", "LOG_FLOOR"),
    "KD_TERM_NORMALIZED": ("TermNumber", "NORMALIZED"),
    "KD_TERM_DETACH_MIXTURE": ("TermNumber", "DETACH_MIXTURE"),
    "KD_TERM_FIRST": ("TermNumber", "FIRST"),
    "KD_TERM_NORMALIZE": ("TermNumber", "NORMALIZE"),
    "KD_TERM_RELATION_HEADS": ("TermNumber", "RELATION_HEADS"),
    "KD_TERM_UNBIASED": ("TermNumber", "UNBIASED"),
    "KD_TERM_TEACHER_TEMPERATURE": ("TermNumber", "TEACHER_TEMPERATURE"),
    "KD_TERM_CAUSAL": ("TermNumber", "CAUSAL"),
    "KD_TERM_SCALE": ("TermNumber", "SCALE"),
    "KD_TERM_TEACHER_SCALE": ("TermNumber", "TEACHER_SCALE"),
    "KD_TERM_BIAS": ("TermNumber", "BIAS"),
    "KD_NORMALIZE_DEFAULT": ("Normalize", "DEFAULT"),
    "KD_NORMALIZE_NONE": ("Normalize", "NONE"),
    "KD_NORMALIZE_ROWS": ("Normalize", "ROWS"),
    "KD_NORMALIZE_LAYER": ("Normalize", "LAYER"),
    "KD_PROJECTION_START_UNIFORM": ("ProjectionStart", "UNIFORM"),
    "KD_PROJECTION_START_IDENTITY": ("ProjectionStart", "IDENTITY"),
    "KD_PROJECTION_START_ORTHOGONAL": ("ProjectionStart", "ORTHOGONAL"),
    "KD_PROJECTION_LINEAR": ("Projection", "LINEAR"),
    "KD_PROJECTION_LINEAR_BIAS": ("Projection", "LINEAR_BIAS"),
    "KD_PROJECTION_MLP": ("Projection", "MLP"),
    "KD_PROJECTION_ORTHOGONAL": ("Projection", "ORTHOGONAL"),
    "KD_DIRECTION_BOTH": ("PairDirection", "BOTH"),
    "KD_DIRECTION_TO_OTHER": ("PairDirection", "TO_OTHER"),
    "KD_DIRECTION_FROM_OTHER": ("PairDirection", "FROM_OTHER"),
    "KD_POSITIVES_MEAN": ("Positives", "MEAN"),
    "KD_POSITIVES_MASK": ("Positives", "MASK"),
    "KD_BETTER_LOWER": ("Direction", "LOWER"),
    "KD_BETTER_HIGHER": ("Direction", "HIGHER"),
    "KD_BALANCE_STATIC": ("BalanceKind", "STATIC"),
    "KD_BALANCE_MEAN": ("BalanceKind", "MEAN"),
    "KD_BALANCE_DWA": ("BalanceKind", "DWA"),
    "KD_RULE_DEFAULT": ("OptimizerRule", "DEFAULT"),
    "KD_RULE_ADAMW": ("OptimizerRule", "ADAMW"),
    "KD_RULE_MUON": ("OptimizerRule", "MUON"),
    "KD_OPTIMIZER_SGD": ("OptimizerKind", "SGD"),
    "KD_OPTIMIZER_ADAMW": ("OptimizerKind", "ADAMW"),
    "KD_OPTIMIZER_ADAM": ("OptimizerKind", "ADAM"),
    "KD_OPTIMIZER_MUON": ("OptimizerKind", "MUON"),
    "KD_STEP_GRADIENT_SCALE": ("OptimizerNumber", "GRADIENT_SCALE"),
    "KD_STEP_WEIGHT_DECAY": ("OptimizerNumber", "WEIGHT_DECAY"),
    "KD_STEP_CLIP_NORM": ("OptimizerNumber", "CLIP_NORM"),
    "KD_STEP_CLIP_VALUE": ("OptimizerNumber", "CLIP_VALUE"),
    "KD_STEP_MAX_NORM": ("OptimizerNumber", "MAX_NORM"),
    "KD_STEP_MOMENTUM": ("OptimizerNumber", "MOMENTUM"),
    "KD_STEP_AVERAGE_DECAY": ("OptimizerNumber", "AVERAGE_DECAY"),
    "KD_MONITOR_IMPROVED": ("Verdict", "IMPROVED"),
    "KD_MONITOR_STOP": ("Verdict", "STOP"),
    "KD_METRIC_ACCURACY": ("MetricKind", "ACCURACY"),
    "KD_METRIC_TOP_K": ("MetricKind", "TOP_K"),
    "KD_METRIC_MACRO_F1": ("MetricKind", "MACRO_F1"),
    "KD_METRIC_NLL": ("MetricKind", "NLL"),
    "KD_METRIC_ECE": ("MetricKind", "ECE"),
    "KD_METRIC_AGREEMENT": ("MetricKind", "AGREEMENT"),
    "KD_METRIC_TEACHER_KL": ("MetricKind", "TEACHER_KL"),
    "KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG": ("MetricKind", "ACCURACY_WHERE_TEACHER_WRONG"),
    "KD_METRIC_ROWS": ("MetricKind", "ROWS"),
    "KD_RETRIEVAL_RECALL": ("RetrievalKind", "RECALL"),
    "KD_RETRIEVAL_MRR": ("RetrievalKind", "MRR"),
    "KD_RETRIEVAL_NDCG": ("RetrievalKind", "NDCG"),
    "KD_RETRIEVAL_VOTE": ("RetrievalKind", "VOTE"),
    "KD_CORRELATION_PEARSON": ("CorrelationKind", "PEARSON"),
    "KD_CORRELATION_SPEARMAN": ("CorrelationKind", "SPEARMAN"),
    "KD_PLAN_MEMORY": ("PlanAdvice", "MEMORY"),
    "KD_PLAN_TIME": ("PlanAdvice", "TIME"),
    "KD_PLAN_NETWORK": ("PlanAdvice", "NETWORK"),
    "KD_PLAN_STORE": ("PlanAdvice", "STORE"),
    "KD_PLAN_ATTENTION": ("PlanAdvice", "ATTENTION"),
    "KD_PLAN_BATCH": ("PlanAdvice", "BATCH"),
    "KD_PICTURE_LINES": ("Picture", "LINES"),
    "KD_PICTURE_POINTS": ("Picture", "POINTS"),
    "KD_PICTURE_BARS": ("Picture", "BARS"),
    "KD_PICTURE_INTERVALS": ("Picture", "INTERVALS"),
    "KD_RECIPE_R1": ("RecipeKind", "R1"),
    "KD_RECIPE_MIXED": ("RecipeKind", "MIXED"),
    "KD_RECIPE_SMALL": ("RecipeKind", "SMALL"),
    "KD_FILTER_LENGTH": ("FilterKind", "LENGTH"),
    "KD_FILTER_REPETITION": ("FilterKind", "REPETITION"),
    "KD_FILTER_SCRIPTS": ("FilterKind", "SCRIPTS"),
    "KD_FILTER_MARKUP": ("FilterKind", "MARKUP"),
    "KD_FILTER_PARAGRAPHS": ("FilterKind", "PARAGRAPHS"),
    "KD_FILTER_DUPLICATES": ("FilterKind", "DUPLICATES"),
    "KD_FILTER_NEAR_DUPLICATES": ("FilterKind", "NEAR_DUPLICATES"),
    "KD_FILTER_CONTAMINATION": ("FilterKind", "CONTAMINATION"),
    "KD_FILTER_VERIFY": ("FilterKind", "VERIFY"),
    "KD_FILTER_SCORE": ("FilterKind", "SCORE"),
    "KD_FILTER_HOST": ("FilterKind", "HOST"),
    "KD_FILTER_PASS_RATE": ("FilterKind", "PASS_RATE"),
    "KD_FILTER_BEST": ("FilterKind", "BEST"),
    "KD_FILTER_BALANCE": ("FilterKind", "BALANCE"),
    "KD_FILTER_LENGTH_MIX": ("FilterKind", "LENGTH_MIX"),
    "KD_FILTER_AGREEMENT": ("FilterKind", "AGREEMENT"),
    "KD_FILTER_SAMPLE": ("FilterKind", "SAMPLE"),
    "KD_FILTER_LANGUAGES": ("FilterKind", "LANGUAGES"),
    "KD_CURATION_MIN_LENGTH": ("FilterNumber", "MIN_LENGTH"),
    "KD_CURATION_MAX_LENGTH": ("FilterNumber", "MAX_LENGTH"),
    "KD_CURATION_MAX_PARAGRAPH": ("FilterNumber", "MAX_PARAGRAPH"),
    "KD_CURATION_MAX_REPEATED_SHARE": ("FilterNumber", "MAX_REPEATED_SHARE"),
    "KD_CURATION_LOOP_COUNT": ("FilterNumber", "LOOP_COUNT"),
    "KD_CURATION_MAX_SCRIPT_SHARE": ("FilterNumber", "MAX_SCRIPT_SHARE"),
    "KD_CURATION_MAX_SIMILARITY": ("FilterNumber", "MAX_SIMILARITY"),
    "KD_CURATION_MIN_SCORE": ("FilterNumber", "MIN_SCORE"),
    "KD_CURATION_MIN_PASS_RATE": ("FilterNumber", "MIN_PASS_RATE"),
    "KD_CURATION_MAX_PASS_RATE": ("FilterNumber", "MAX_PASS_RATE"),
    "KD_CURATION_MAX_PER_PROMPT": ("FilterNumber", "MAX_PER_PROMPT"),
    "KD_CURATION_MAX_DOMAIN_RATIO": ("FilterNumber", "MAX_DOMAIN_RATIO"),
    "KD_CURATION_SHORT_LENGTH": ("FilterNumber", "SHORT_LENGTH"),
    "KD_CURATION_SHORT_SHARE": ("FilterNumber", "SHORT_SHARE"),
    "KD_CURATION_MIN_AGREEMENT": ("FilterNumber", "MIN_AGREEMENT"),
    "KD_CURATION_MAX_RECORDS": ("FilterNumber", "MAX_RECORDS"),
    "KD_CURATION_MIN_FOREIGN_WORDS": ("FilterNumber", "MIN_FOREIGN_WORDS"),
    "KD_CURATION_MAX_FOREIGN_SHARE": ("FilterNumber", "MAX_FOREIGN_SHARE"),
    "KD_UNIT_BYTES": ("Unit", "BYTES"),
    "KD_UNIT_WORDS": ("Unit", "WORDS"),
    "KD_UNIT_TOKENS": ("Unit", "TOKENS"),
    "KD_UNIT_RECORDS": ("Unit", "RECORDS"),
    "KD_CHOOSE_SCORE": ("Choose", "SCORE"),
    "KD_CHOOSE_SHORTEST": ("Choose", "SHORTEST"),
    "KD_CHOOSE_VARIED": ("Choose", "VARIED"),
    "KD_SINC_KAISER": ("SincWindow", "KAISER"),
    "KD_SINC_HANN": ("SincWindow", "HANN"),
    "KD_WINDOW_HANN": ("Window", "HANN"),
    "KD_WINDOW_HAMMING": ("Window", "HAMMING"),
    "KD_WINDOW_POVEY": ("Window", "POVEY"),
    "KD_WINDOW_RECTANGULAR": ("Window", "RECTANGULAR"),
    "KD_FRAMES_WINDOWS": ("Framing", "WINDOWS"),
    "KD_FRAMES_WHOLE": ("Framing", "WHOLE"),
    "KD_FRAMES_ZEROS": ("Framing", "ZEROS"),
    "KD_FRAMES_REFLECT": ("Framing", "REFLECT"),
    "KD_FRAMES_MIRROR": ("Framing", "MIRROR"),
    "KD_MEL_SCALE_SLANEY": ("MelScale", "SLANEY"),
    "KD_MEL_SCALE_HTK": ("MelScale", "HTK"),
    "KD_MEL_LOG_NONE": ("MelLog", "NONE"),
    "KD_MEL_LOG_NATURAL": ("MelLog", "NATURAL"),
    "KD_MEL_LOG_BASE10": ("MelLog", "BASE10"),
    "KD_MEL_LOG_DECIBEL": ("MelLog", "DECIBEL"),
    "KD_MEL_NORMALIZE_NONE": ("MelNormalize", "NONE"),
    "KD_MEL_NORMALIZE_FIXED": ("MelNormalize", "FIXED"),
    "KD_MEL_NORMALIZE_SOUND": ("MelNormalize", "SOUND"),
    "KD_MEL_NORMALIZE_BANDS": ("MelNormalize", "BANDS"),
    "KD_AUGMENT_NUMBERS": ("AugmentKind", "NUMBERS"),
    "KD_AUGMENT_TEMPLATES": ("AugmentKind", "TEMPLATES"),
    "KD_AUGMENT_ANSWERS": ("AugmentKind", "ANSWERS"),
    "KD_TEXT_BLEU": ("TextMetric", "BLEU"),
    "KD_TEXT_CHRF": ("TextMetric", "CHRF"),
    "KD_TEXT_ROUGE_L": ("TextMetric", "ROUGE_L"),
    "KD_TEXT_F1": ("TextMetric", "F1"),
    "KD_TEXT_EXACT": ("TextMetric", "EXACT"),
    "KD_TEXT_MACRO_F1": ("TextMetric", "MACRO_F1"),
}

#: name: (result, argument types)
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "kd_last_error": (c_char_p, []),
    "kd_status_name": (c_char_p, [c_int32]),
    "kd_version": (c_int32, []),
    "kd_build_info": (c_char_p, []),
    "kd_set_error": (c_int32, [c_int32, c_char_p]),
    "kd_array_init": (c_int32, [POINTER(kd_array), c_void_p, c_int32, c_int32, POINTER(c_int64)]),
    "kd_array_count": (c_int64, [POINTER(kd_array)]),
    "kd_dtype_bytes": (c_size_t, [c_int32]),
    "kd_context_options_init": (None, [POINTER(kd_context_options), c_size_t]),
    "kd_context_create": (c_int32, [POINTER(c_void_p), POINTER(kd_context_options)]),
    "kd_context_free": (None, [c_void_p]),
    "kd_context_get_info": (c_int32, [c_void_p, POINTER(kd_context_info)]),
    "kd_context_set_blas_threads": (c_int32, [c_void_p, c_int32]),
    "kd_context_measure_matmul": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_double)]),
    "kd_context_cancel": (c_int32, [c_void_p, c_int32]),
    "kd_context_matmul": (c_int32, [
        c_void_p, c_int32, c_int32, c_int64, c_int64, c_int64, c_float, POINTER(c_float), c_int64,
        POINTER(c_float), c_int64, c_float, POINTER(c_float), c_int64,
    ]),
    "kd_context_free_text": (None, [c_void_p, c_char_p]),
    "kd_dataset_options_init": (None, [POINTER(kd_dataset_options), c_size_t]),
    "kd_field_options_init": (None, [POINTER(kd_field_options), c_size_t]),
    "kd_dataset_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_dataset_options)]),
    "kd_dataset_free": (None, [c_void_p]),
    "kd_dataset_add": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_field_options)]),
    "kd_dataset_borrow": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_field_options),
    ]),
    "kd_dataset_add_file": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_field_options)]),
    "kd_dataset_load_idx": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, c_char_p, POINTER(kd_dataset_options),
    ]),
    "kd_csv_options_init": (None, [POINTER(kd_csv_options), c_size_t]),
    "kd_dataset_load_csv": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_csv_options),
    ]),
    "kd_dataset_select": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array)]),
    "kd_dataset_concat": (c_int32, [POINTER(c_void_p), POINTER(c_void_p), c_int32]),
    "kd_dataset_sample_count": (c_int32, [c_void_p, POINTER(c_int64)]),
    "kd_dataset_field_count": (c_int32, [c_void_p, POINTER(c_int32)]),
    "kd_dataset_field_name": (c_int32, [c_void_p, c_int32, POINTER(c_char_p)]),
    "kd_dataset_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_dataset_key": (c_int32, [c_void_p, c_int64, POINTER(c_uint64)]),
    "kd_pseudo_label_options_init": (None, [POINTER(kd_pseudo_label_options), c_size_t]),
    "kd_dataset_pseudo_label": (c_int32, [
        POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_pseudo_label_options),
        POINTER(kd_pseudo_label_counts),
    ]),
    "kd_loader_options_init": (None, [POINTER(kd_loader_options), c_size_t]),
    "kd_loader_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_loader_options)]),
    "kd_loader_free": (None, [c_void_p]),
    "kd_loader_next": (c_int32, [c_void_p, c_void_p]),
    "kd_loader_position": (c_int32, [
        c_void_p, POINTER(c_int64), POINTER(c_int64), POINTER(c_int64),
    ]),
    "kd_loader_seek": (c_int32, [c_void_p, c_int64]),
    "kd_batch_options_init": (None, [POINTER(kd_batch_options), c_size_t]),
    "kd_batch_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_batch_options)]),
    "kd_batch_free": (None, [c_void_p]),
    "kd_batch_begin": (c_int32, [c_void_p, c_int64]),
    "kd_batch_begin_packed": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_batch_set": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_batch_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_batch_set_per_sample": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_batch_set_ragged": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_batch_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_batch_field_offsets": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_batch_get_counts": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int64)]),
    "kd_batch_offsets": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_batch_samples": (c_int32, [
        c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_batch_origin": (c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_char_p)]),
    "kd_batch_set_origin": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "kd_batch_set_samples": (c_int32, [
        c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_resize_options_init": (None, [POINTER(kd_resize_options), c_size_t]),
    "kd_image_resize": (c_int32, [
        c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_resize_options),
    ]),
    "kd_image_crop": (c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_image_processor_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p]),
    "kd_image_processor_create": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p]),
    "kd_image_processor_free": (None, [c_void_p]),
    "kd_image_processor_find_size": (c_int32, [
        c_void_p, c_int64, c_int64, POINTER(c_int64), POINTER(c_int64),
    ]),
    "kd_image_processor_prepare": (c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_model_options_init": (None, [POINTER(kd_model_options), c_size_t]),
    "kd_model_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_model_options),
    ]),
    "kd_model_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_model_options)]),
    "kd_model_free": (None, [c_void_p]),
    "kd_model_save_options_init": (None, [POINTER(kd_model_save_options), c_size_t]),
    "kd_model_save": (c_int32, [c_void_p, c_char_p, POINTER(kd_model_save_options)]),
    "kd_model_estimate_memory": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_model_options), POINTER(kd_model_memory_info),
    ]),
    "kd_model_forward": (c_int32, [c_void_p, c_void_p, c_int32]),
    "kd_model_end_rehearsal": (c_int32, [c_void_p]),
    "kd_model_output": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_model_keep": (c_int32, [c_void_p, c_char_p, c_int32]),
    "kd_model_get_output_info": (c_int32, [c_void_p, c_char_p, POINTER(kd_output_info)]),
    "kd_model_add_output_gradient": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_model_backward": (c_int32, [c_void_p]),
    "kd_model_zero_gradients": (c_int32, [c_void_p]),
    "kd_model_predict": (c_int32, [c_void_p, c_void_p, c_char_p, c_int32, POINTER(kd_array)]),
    "kd_model_parameters": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_model_gradients": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_model_tensor_count": (c_int32, [c_void_p, POINTER(c_int32)]),
    "kd_model_tensor": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(kd_array)]),
    "kd_model_tensor_gradient": (c_int32, [c_void_p, c_int32, POINTER(kd_array)]),
    "kd_model_freeze": (c_int32, [c_void_p, c_char_p, c_int32]),
    "kd_model_count_nonfinite": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_char_p)]),
    "kd_model_config": (c_int32, [c_void_p, POINTER(c_char_p)]),
    "kd_model_copy_parameters": (c_int32, [c_void_p, c_void_p]),
    "kd_model_get_info": (c_int32, [c_void_p, POINTER(kd_model_info)]),
    "kd_head_init": (None, [POINTER(kd_head), c_size_t]),
    "kd_teacher_options_init": (None, [POINTER(kd_teacher_options), c_size_t]),
    "kd_teacher_create": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_array), POINTER(kd_teacher_options),
    ]),
    "kd_teacher_add": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_teacher_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_teacher_from_model": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_options)]),
    "kd_ensemble_options_init": (None, [POINTER(kd_ensemble_options), c_size_t]),
    "kd_teacher_from_ensemble": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_int32, POINTER(kd_ensemble_options),
    ]),
    "kd_teacher_from_tasks": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_void_p), POINTER(c_char_p), c_int32,
    ]),
    "kd_teacher_from_callbacks": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_teacher_callbacks), POINTER(kd_teacher_options),
    ]),
    "kd_teacher_collect": (c_int32, [POINTER(c_void_p), c_void_p, c_void_p, c_int32]),
    "kd_teacher_free": (None, [c_void_p]),
    "kd_teacher_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_targets_options_init": (None, [POINTER(kd_targets_options), c_size_t]),
    "kd_targets_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_targets_options)]),
    "kd_targets_free": (None, [c_void_p]),
    "kd_teacher_read": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "kd_targets_begin": (c_int32, [c_void_p, c_int64]),
    "kd_targets_set": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_targets_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_targets_set_per_sample": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_sparse_init": (None, [POINTER(kd_sparse), c_size_t]),
    "kd_targets_set_sparse": (c_int32, [c_void_p, c_char_p, POINTER(kd_sparse), POINTER(kd_array)]),
    "kd_targets_sparse": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
        POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_targets_select": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), c_int64, c_double, c_double, POINTER(kd_array),
    ]),
    "kd_targets_sample": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), c_int64, c_double, c_uint64,
    ]),
    "kd_targets_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)]),
    "kd_targets_borrow_head": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_head)]),
    "kd_targets_align_batch": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_int64)]),
    "kd_loss_options_init": (None, [POINTER(kd_loss_options), c_size_t]),
    "kd_term_options_init": (None, [POINTER(kd_term_options), c_size_t]),
    "kd_loss_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_loss_options)]),
    "kd_loss_free": (None, [c_void_p]),
    "kd_loss_add": (c_int32, [
        c_void_p, c_int32, c_double, POINTER(kd_term_options), POINTER(c_int32),
    ]),
    "kd_loss_set": (c_int32, [c_void_p, c_int32, c_int32, c_double]),
    "kd_loss_get": (c_int32, [c_void_p, c_int32, c_int32, POINTER(c_double)]),
    "kd_loss_bounds": (c_int32, [
        c_int32, c_int32, POINTER(c_double), POINTER(c_double), POINTER(c_double),
    ]),
    "kd_loss_get_term": (c_int32, [c_void_p, c_int32, POINTER(c_int32), POINTER(kd_term_options)]),
    "kd_loss_count": (c_int32, [c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts)]),
    "kd_loss_counts_add": (c_int32, [POINTER(kd_loss_counts), POINTER(kd_loss_counts)]),
    "kd_loss_backward": (c_int32, [
        c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(kd_loss_result),
    ]),
    "kd_loss_forward": (c_int32, [
        c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(kd_loss_result),
    ]),
    "kd_loss_estimate_memory": (c_int32, [
        c_void_p, c_int64, c_int64, c_int64, c_int64, POINTER(c_int64), POINTER(c_int64),
    ]),
    "kd_loss_evaluate": (c_int32, [
        c_void_p, POINTER(kd_loss_output), c_int32, c_void_p, c_void_p, POINTER(kd_loss_counts),
        POINTER(kd_loss_result),
    ]),
    "kd_loss_set_diagnostics": (c_int32, [c_void_p, c_int32]),
    "kd_loss_get_diagnostics": (c_int32, [c_void_p, c_int32, POINTER(kd_loss_diagnostics)]),
    "kd_loss_set_shared_classes": (c_int32, [c_void_p, c_int32, POINTER(kd_array), c_int64]),
    "kd_projection_options_init": (None, [POINTER(kd_projection_options), c_size_t]),
    "kd_loss_set_projection": (c_int32, [c_void_p, c_int32, POINTER(kd_projection_options)]),
    "kd_loss_prepare": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "kd_loss_tensor_count": (c_int32, [c_void_p, POINTER(c_int32)]),
    "kd_loss_tensor": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(kd_array)]),
    "kd_loss_tensor_gradient": (c_int32, [c_void_p, c_int32, POINTER(kd_array)]),
    "kd_loss_zero_gradients": (c_int32, [c_void_p]),
    "kd_loss_save_tensors": (c_int32, [c_void_p, c_char_p]),
    "kd_loss_load_tensors": (c_int32, [c_void_p, c_char_p]),
    "kd_loss_map_layers": (c_int32, [c_int32, c_int32, c_int32, POINTER(c_int32)]),
    "kd_loss_add_mapped": (c_int32, [
        c_void_p, c_int32, c_double, POINTER(kd_term_options), POINTER(c_int32), c_int32,
        POINTER(c_int32),
    ]),
    "kd_loss_keep_outputs": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "kd_model_add_head": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "kd_pair_options_init": (None, [POINTER(kd_pair_options), c_size_t]),
    "kd_loss_set_pairs": (c_int32, [c_void_p, c_int32, POINTER(kd_pair_options)]),
    "kd_loss_backward_chunks": (c_int32, [
        c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p), c_int32, POINTER(kd_loss_counts),
        POINTER(kd_loss_result),
    ]),
    "kd_gradient_options_init": (None, [POINTER(kd_gradient_options), c_size_t]),
    "kd_loss_measure_gradients": (c_int32, [
        c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_gradient_options), POINTER(c_double),
        POINTER(c_double),
    ]),
    "kd_schedule_create_constant": (c_int32, [POINTER(c_void_p), c_void_p, c_double]),
    "kd_schedule_create_linear": (c_int32, [
        POINTER(c_void_p), c_void_p, c_double, c_double, c_int64,
    ]),
    "kd_schedule_create_cosine": (c_int32, [
        POINTER(c_void_p), c_void_p, c_double, c_double, c_int64,
    ]),
    "kd_schedule_create_exponential": (c_int32, [
        POINTER(c_void_p), c_void_p, c_double, c_double, c_int64,
    ]),
    "kd_schedule_create_polynomial": (c_int32, [
        POINTER(c_void_p), c_void_p, c_double, c_double, c_int64, c_double,
    ]),
    "kd_schedule_create_step": (c_int32, [
        POINTER(c_void_p), c_void_p, c_double, c_double, c_int64,
    ]),
    "kd_schedule_create_inverse_sqrt": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_int64]),
    "kd_schedule_create_wsd": (c_int32, [
        POINTER(c_void_p), c_void_p, c_double, c_double, c_int64, c_int64, c_int64,
    ]),
    "kd_schedule_create_piecewise": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_int64), POINTER(c_double), c_int32,
    ]),
    "kd_schedule_create_product": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_int32,
    ]),
    "kd_schedule_create_sequence": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_void_p), POINTER(c_int64), c_int32,
    ]),
    "kd_plateau_options_init": (None, [POINTER(kd_plateau_options), c_size_t]),
    "kd_schedule_create_plateau": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_plateau_options),
    ]),
    "kd_taid_options_init": (None, [POINTER(kd_taid_options), c_size_t]),
    "kd_schedule_create_taid": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_taid_options)]),
    "kd_schedule_free": (None, [c_void_p]),
    "kd_schedule_value": (c_double, [c_void_p, c_int64]),
    "kd_schedule_report": (c_int32, [c_void_p, c_double]),
    "kd_schedule_get_state": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_int32)]),
    "kd_schedule_set_state": (c_int32, [c_void_p, POINTER(c_double), c_int32]),
    "kd_balance_options_init": (None, [POINTER(kd_balance_options), c_size_t]),
    "kd_balance_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_int32, c_int32, POINTER(kd_balance_options),
    ]),
    "kd_balance_free": (None, [c_void_p]),
    "kd_balance_report": (c_int32, [c_void_p, c_int32, c_double]),
    "kd_balance_end_epoch": (c_int32, [c_void_p]),
    "kd_balance_value": (c_double, [c_void_p, c_int32]),
    "kd_optimizer_options_init": (None, [POINTER(kd_optimizer_options), c_size_t]),
    "kd_optimizer_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_int32, POINTER(kd_optimizer_options),
    ]),
    "kd_optimizer_free": (None, [c_void_p]),
    "kd_optimizer_add_model": (c_int32, [c_void_p, c_void_p]),
    "kd_optimizer_borrow_array": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_optimizer_add_loss": (c_int32, [c_void_p, c_void_p]),
    "kd_group_options_init": (None, [POINTER(kd_group_options), c_size_t]),
    "kd_optimizer_add_group": (c_int32, [c_void_p, c_char_p, POINTER(kd_group_options)]),
    "kd_optimizer_step": (c_int32, [c_void_p, c_double]),
    "kd_optimizer_begin_step": (c_int32, [c_void_p, c_double]),
    "kd_optimizer_set": (c_int32, [c_void_p, c_int32, c_double]),
    "kd_optimizer_get": (c_int32, [c_void_p, c_int32, POINTER(c_double)]),
    "kd_optimizer_bounds": (c_int32, [c_int32, POINTER(c_double), POINTER(c_double)]),
    "kd_optimizer_get_info": (c_int32, [c_void_p, POINTER(kd_optimizer_info)]),
    "kd_optimizer_swap_average": (c_int32, [c_void_p]),
    "kd_exchange_options_init": (None, [POINTER(kd_exchange_options), c_size_t]),
    "kd_exchange_create": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_transport), POINTER(kd_exchange_options),
    ]),
    "kd_exchange_free": (None, [c_void_p]),
    "kd_exchange_add_optimizer": (c_int32, [c_void_p, c_void_p]),
    "kd_exchange_sum_counts": (c_int32, [
        c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(c_int64),
    ]),
    "kd_exchange_begin": (c_int32, [c_void_p]),
    "kd_exchange_set_learning_rate": (c_int32, [c_void_p, c_double]),
    "kd_exchange_step": (c_int32, [c_void_p, c_double]),
    "kd_exchange_fail": (c_int32, [c_void_p, c_int32]),
    "kd_exchange_sum": (c_int32, [c_void_p, POINTER(c_double), c_int64]),
    "kd_exchange_compare": (c_int32, [c_void_p]),
    "kd_exchange_compare_bytes": (c_int32, [c_void_p, c_char_p, c_void_p, c_size_t]),
    "kd_exchange_swap_average": (c_int32, [c_void_p]),
    "kd_exchange_get_info": (c_int32, [c_void_p, POINTER(kd_exchange_info)]),
    "kd_monitor_options_init": (None, [POINTER(kd_monitor_options), c_size_t]),
    "kd_monitor_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_monitor_options)]),
    "kd_monitor_free": (None, [c_void_p]),
    "kd_monitor_report": (c_int32, [c_void_p, c_double, POINTER(c_int32)]),
    "kd_monitor_best": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_int64)]),
    "kd_monitor_restore": (c_int32, [c_void_p]),
    "kd_checkpoint_options_init": (None, [POINTER(kd_checkpoint_options), c_size_t]),
    "kd_checkpoint_create": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_checkpoint_options),
    ]),
    "kd_checkpoint_free": (None, [c_void_p]),
    "kd_checkpoint_add_model": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_optimizer": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_loader": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_schedule": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_loss": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_monitor": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_balance": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_add_exchange": (c_int32, [c_void_p, c_char_p, c_void_p]),
    "kd_checkpoint_borrow_bytes": (c_int32, [c_void_p, c_char_p, c_void_p, c_size_t]),
    "kd_checkpoint_save": (c_int32, [c_void_p, c_char_p]),
    "kd_checkpoint_load": (c_int32, [c_void_p, c_char_p]),
    "kd_metrics_options_init": (None, [POINTER(kd_metrics_options), c_size_t]),
    "kd_metrics_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_int64, POINTER(kd_metrics_options),
    ]),
    "kd_metrics_free": (None, [c_void_p]),
    "kd_metrics_add": (c_int32, [
        c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_metrics_reset": (c_int32, [c_void_p]),
    "kd_metrics_get": (c_int32, [c_void_p, c_int32, POINTER(kd_metric)]),
    "kd_metrics_confusion": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_metrics_mean": (c_int32, [
        POINTER(c_double), c_int32, POINTER(c_double), POINTER(c_double),
    ]),
    "kd_metrics_correlation": (c_int32, [
        c_void_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64, POINTER(c_double),
    ]),
    "kd_metrics_measure_correlation": (c_int32, [
        c_void_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64, POINTER(kd_metric),
    ]),
    "kd_metrics_measure_retrieval": (c_int32, [
        c_void_p, c_int32, c_int32, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
        POINTER(kd_array), POINTER(kd_metric),
    ]),
    "kd_model_measure_latency": (c_int32, [c_void_p, c_int32, c_double, POINTER(kd_latency)]),
    "kd_store_field_init": (None, [POINTER(kd_store_field), c_size_t]),
    "kd_store_options_init": (None, [POINTER(kd_store_options), c_size_t]),
    "kd_store_key": (c_int32, [c_void_p, POINTER(kd_array), POINTER(c_uint64), POINTER(c_uint64)]),
    "kd_store_writer_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_store_options), POINTER(kd_store_field),
        c_int32,
    ]),
    "kd_store_writer_set_head": (c_int32, [c_void_p, POINTER(kd_array), c_int32]),
    "kd_store_writer_add": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "kd_store_writer_begin": (c_int32, [c_void_p, c_uint64, c_uint64, c_int64, c_int64, c_int64]),
    "kd_store_writer_put": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_store_writer_put_sparse": (c_int32, [c_void_p, c_char_p, c_void_p, c_char_p, c_int64]),
    "kd_store_writer_put_text": (c_int32, [c_void_p, c_char_p, c_char_p, c_int64]),
    "kd_store_writer_put_tokens": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_store_writer_commit": (c_int32, [c_void_p]),
    "kd_store_writer_close": (c_int32, [c_void_p]),
    "kd_store_writer_free": (None, [c_void_p]),
    "kd_store_open_options_init": (None, [POINTER(kd_store_open_options), c_size_t]),
    "kd_store_open": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_char_p), c_int32, POINTER(kd_store_open_options),
    ]),
    "kd_store_free": (None, [c_void_p]),
    "kd_store_get_info": (c_int32, [c_void_p, POINTER(kd_store_info)]),
    "kd_store_header": (c_int32, [c_void_p, POINTER(c_char_p)]),
    "kd_store_get_record": (c_int32, [c_void_p, c_int64, POINTER(kd_store_record)]),
    "kd_store_find": (c_int32, [c_void_p, c_uint64, c_uint64, c_int64, POINTER(c_int64)]),
    "kd_store_read": (c_int32, [c_void_p, c_int64, c_void_p]),
    "kd_store_text": (c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_char_p), POINTER(c_int64)]),
    "kd_store_number": (c_int32, [
        c_void_p, c_int64, c_char_p, POINTER(c_double), POINTER(c_uint64),
    ]),
    "kd_store_head": (c_int32, [c_void_p, c_int32, POINTER(kd_array)]),
    "kd_store_unrotate": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_store_field_bytes": (c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_int64)]),
    "kd_store_refresh": (c_int32, [c_void_p, POINTER(c_int64)]),
    "kd_store_verify": (c_int32, [c_void_p, POINTER(c_int64)]),
    "kd_store_adopt": (c_int32, [c_void_p, c_char_p, POINTER(c_int64)]),
    "kd_store_compact": (c_int32, [c_void_p, c_char_p]),
    "kd_teacher_from_store": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_options)]),
    "kd_teacher_open": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_teacher_options),
    ]),
    "kd_tokenizer_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p]),
    "kd_tokenizer_free": (None, [c_void_p]),
    "kd_tokenizer_encode": (c_int32, [
        c_void_p, c_char_p, c_int64, c_int32, POINTER(c_int32), c_int64, POINTER(c_int64),
    ]),
    "kd_tokenizer_encode_ends": (c_int32, [
        c_void_p, c_char_p, c_int64, c_int32, POINTER(c_int32), POINTER(c_int64), c_int64,
        POINTER(c_int64),
    ]),
    "kd_tokenizer_encode_pair": (c_int32, [
        c_void_p, c_char_p, c_int64, c_char_p, c_int64, c_int32, POINTER(c_int32), POINTER(c_int32),
        c_int64, POINTER(c_int64),
    ]),
    "kd_tokenizer_decode": (c_int32, [
        c_void_p, POINTER(c_int32), c_int64, c_int32, c_char_p, c_int64, POINTER(c_int64),
    ]),
    "kd_tokenizer_vocabulary_size": (c_int32, [c_void_p, POINTER(c_int64)]),
    "kd_tokenizer_get_info": (c_int32, [c_void_p, POINTER(kd_tokenizer_info)]),
    "kd_tokenizer_token": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int32)]),
    "kd_tokenizer_token_id": (c_int32, [c_void_p, c_char_p, POINTER(c_int32)]),
    "kd_tokenizer_token_bytes": (c_int32, [
        c_void_p, c_int32, c_char_p, c_int64, POINTER(c_int64), POINTER(c_int32),
    ]),
    "kd_tokenizer_map": (c_int32, [
        c_void_p, c_void_p, POINTER(c_int32), c_int64, POINTER(c_int64),
    ]),
    "kd_tokenizer_end_tokens": (c_int32, [c_void_p, POINTER(POINTER(c_int32)), POINTER(c_int32)]),
    "kd_tokenizer_begin_token": (c_int32, [c_void_p, POINTER(c_int32)]),
    "kd_detokenizer_create": (c_int32, [POINTER(c_void_p), c_void_p, c_int32]),
    "kd_detokenizer_free": (None, [c_void_p]),
    "kd_detokenizer_push": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int64)]),
    "kd_detokenizer_finish": (c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_int64)]),
    "kd_tokenizer_hash": (c_int32, [c_void_p, c_int32, c_char_p]),
    "kd_tokenizer_add": (c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int32)]),
    "kd_tokenizer_rename": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "kd_tokenizer_save": (c_int32, [c_void_p, c_char_p]),
    "kd_tokenizer_compare": (c_int32, [
        c_void_p, c_void_p, POINTER(c_char_p), c_int32, c_int32, POINTER(c_int64),
        POINTER(c_char_p),
    ]),
    "kd_chat_options_init": (None, [POINTER(kd_chat_options), c_size_t]),
    "kd_tokenizer_chat_format": (c_int32, [c_void_p, POINTER(c_int32)]),
    "kd_chat_render": (c_int32, [
        c_void_p, POINTER(kd_message), c_int32, POINTER(kd_chat_options), POINTER(c_char_p),
    ]),
    "kd_chat_encode": (c_int32, [
        c_void_p, POINTER(kd_message), c_int32, POINTER(kd_chat_options), POINTER(c_int32),
        c_void_p, c_int64, POINTER(c_int64),
    ]),
    "kd_generator_options_init": (None, [POINTER(kd_generator_options), c_size_t]),
    "kd_generator_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_generator_options)]),
    "kd_generator_free": (None, [c_void_p]),
    "kd_sampling_init": (None, [POINTER(kd_sampling), c_size_t]),
    "kd_generator_add": (c_int32, [
        c_void_p, POINTER(c_int32), c_int64, POINTER(kd_sampling), POINTER(c_int64),
    ]),
    "kd_generator_next": (c_int32, [c_void_p, POINTER(kd_generated)]),
    "kd_generator_refresh": (c_int32, [c_void_p]),
    "kd_generator_cancel": (c_int32, [c_void_p, c_int64]),
    "kd_generator_estimate_memory": (c_int32, [
        c_void_p, POINTER(kd_generator_options), POINTER(kd_generator_info),
    ]),
    "kd_generator_get_info": (c_int32, [c_void_p, POINTER(kd_generator_info)]),
    "kd_beam_options_init": (None, [POINTER(kd_beam_options), c_size_t]),
    "kd_generator_beam_search": (c_int32, [
        c_void_p, POINTER(c_int32), c_int64, POINTER(kd_beam_options), POINTER(kd_generated),
        POINTER(c_double),
    ]),
    "kd_speed_options_init": (None, [POINTER(kd_speed_options), c_size_t]),
    "kd_model_measure_speed": (c_int32, [c_void_p, POINTER(kd_speed_options), POINTER(kd_speed)]),
    "kd_student_options_init": (None, [POINTER(kd_student_options), c_size_t]),
    "kd_student_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_student_options)]),
    "kd_student_map_layers": (c_int32, [c_void_p, POINTER(kd_student_options), POINTER(c_int32)]),
    "kd_student_measure_influence": (c_int32, [
        c_void_p, c_void_p, POINTER(c_double), c_int32, POINTER(c_int32),
    ]),
    "kd_static_options_init": (None, [POINTER(kd_static_options), c_size_t]),
    "kd_student_create_static": (c_int32, [
        POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_static_options),
    ]),
    "kd_model_resize_vocabulary": (c_int32, [c_void_p, c_int64]),
    "kd_model_append_dense": (c_int32, [
        c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), c_char_p,
    ]),
    "kd_student_append_projection": (c_int32, [c_void_p, c_void_p, c_int32]),
    "kd_lora_options_init": (None, [POINTER(kd_lora_options), c_size_t]),
    "kd_model_add_lora": (c_int32, [c_void_p, c_char_p, POINTER(kd_lora_options)]),
    "kd_model_save_lora": (c_int32, [c_void_p, c_char_p, POINTER(kd_model_save_options)]),
    "kd_model_load_lora": (c_int32, [c_void_p, c_char_p]),
    "kd_student_preset": (c_int32, [c_char_p, POINTER(c_char_p)]),
    "kd_towers_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, POINTER(c_char_p), POINTER(c_void_p), c_int32,
        POINTER(kd_model_options),
    ]),
    "kd_towers_save": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_model_save_options)]),
    "kd_model_output_present": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_batch_begin_texts": (c_int32, [c_void_p, c_void_p, POINTER(c_char_p), c_int32, c_int32]),
    "kd_loss_set_shared_tokens": (c_int32, [
        c_void_p, c_int32, c_void_p, c_int64, c_void_p, c_int64, POINTER(c_int64),
    ]),
    "kd_align_find_chunks": (c_int32, [
        POINTER(kd_array), POINTER(kd_array), POINTER(kd_array), POINTER(c_int64),
    ]),
    "kd_targets_align": (c_int32, [
        c_void_p, c_void_p, c_char_p, POINTER(kd_array), c_int64, c_int64, c_int64,
        POINTER(c_int64),
    ]),
    "kd_align_sum_chunks": (c_int32, [
        POINTER(kd_array), POINTER(kd_array), c_int64, c_int32, POINTER(kd_array),
    ]),
    "kd_mask_options_init": (None, [POINTER(kd_mask_options), c_size_t]),
    "kd_batch_mask_tokens": (c_int32, [c_void_p, POINTER(kd_mask_options)]),
    "kd_block_bytes": (c_int64, [c_int32, c_int64]),
    "kd_block_encode": (c_int32, [
        c_void_p, c_int32, POINTER(kd_array), POINTER(kd_array), c_void_p, c_int64,
    ]),
    "kd_block_decode": (c_int32, [c_void_p, c_int32, c_void_p, c_int64, POINTER(kd_array)]),
    "kd_importance_create": (c_int32, [POINTER(c_void_p), c_void_p]),
    "kd_importance_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p]),
    "kd_importance_free": (None, [c_void_p]),
    "kd_importance_add": (c_int32, [c_void_p, c_void_p]),
    "kd_importance_save": (c_int32, [c_void_p, c_char_p]),
    "kd_importance_get": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(c_int64)]),
    "kd_lattice_options_init": (None, [POINTER(kd_lattice_options), c_size_t]),
    "kd_model_set_lattice": (c_int32, [c_void_p, c_char_p, POINTER(kd_lattice_options)]),
    "kd_model_get_lattice_info": (c_int32, [c_void_p, POINTER(kd_lattice_info)]),
    "kd_gguf_options_init": (None, [POINTER(kd_gguf_options), c_size_t]),
    "kd_model_write_gguf": (c_int32, [
        c_void_p, c_void_p, c_char_p, POINTER(kd_gguf_options), POINTER(kd_gguf_info),
    ]),
    "kd_model_plan_gguf": (c_int32, [c_void_p, POINTER(kd_gguf_options), POINTER(kd_gguf_info)]),
    "kd_model_save_gguf": (c_int32, [c_void_p, c_void_p, c_char_p, c_int32, c_int32]),
    "kd_record_init": (None, [POINTER(kd_record), c_size_t]),
    "kd_record_set_keys": (c_int32, [POINTER(kd_record)]),
    "kd_record_to_json": (c_int32, [c_void_p, POINTER(kd_record), POINTER(c_char_p)]),
    "kd_record_options_init": (None, [POINTER(kd_record_options), c_size_t]),
    "kd_record_reader_open": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(c_char_p), c_int32, POINTER(kd_record_options),
    ]),
    "kd_record_reader_open_text": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, c_int64, POINTER(kd_record_options),
    ]),
    "kd_record_reader_free": (None, [c_void_p]),
    "kd_record_reader_next": (c_int32, [c_void_p, POINTER(kd_record)]),
    "kd_record_reader_rewind": (c_int32, [c_void_p]),
    "kd_record_reader_get_counts": (c_int32, [c_void_p, POINTER(kd_record_counts)]),
    "kd_record_writer_options_init": (None, [POINTER(kd_record_writer_options), c_size_t]),
    "kd_record_writer_open": (c_int32, [
        POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_record_writer_options),
    ]),
    "kd_record_writer_add": (c_int32, [c_void_p, POINTER(kd_record)]),
    "kd_record_writer_close": (c_int32, [c_void_p]),
    "kd_record_writer_free": (None, [c_void_p]),
    "kd_verify_options_init": (None, [POINTER(kd_verify_options), c_size_t]),
    "kd_verify_answer": (c_int32, [
        c_char_p, c_char_p, POINTER(kd_verify_options), POINTER(c_int32), POINTER(c_int32),
    ]),
    "kd_verify_find_answer": (c_int32, [c_char_p, POINTER(c_char_p), POINTER(c_int64)]),
    "kd_verify_find_number": (c_int32, [c_char_p, POINTER(c_double), POINTER(c_int32)]),
    "kd_verify_majority": (c_int32, [
        POINTER(c_char_p), c_int32, POINTER(kd_verify_options), POINTER(c_int32), POINTER(c_int32),
    ]),
    "kd_verify_pass_at_k": (c_int32, [
        POINTER(c_int32), c_int64, c_int32, c_int32, POINTER(kd_pass_at_k),
    ]),
    "kd_answers_options_init": (None, [POINTER(kd_answers_options), c_size_t]),
    "kd_answers_collect": (c_int32, [
        c_void_p, c_void_p, c_void_p, c_char_p, POINTER(kd_answers_options),
        POINTER(kd_answers_progress),
    ]),
    "kd_answers_collect_chunks": (c_int32, [
        c_void_p, c_void_p, c_void_p, c_char_p, POINTER(kd_answers_options),
        POINTER(kd_answers_progress),
    ]),
    "kd_answers_concat": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "kd_answers_judge": (c_int32, [
        c_void_p, POINTER(kd_verify_options), c_int32, POINTER(c_int32), c_int64,
        POINTER(kd_answers_result),
    ]),
    "kd_import_options_init": (None, [POINTER(kd_import_options), c_size_t]),
    "kd_store_writer_import": (c_int32, [
        c_void_p, c_int32, c_char_p, POINTER(kd_import_options), POINTER(kd_import_counts),
    ]),
    "kd_arrow_options_init": (None, [POINTER(kd_arrow_options), c_size_t]),
    "kd_record_reader_from_arrow": (c_int32, [
        POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_arrow_options),
    ]),
    "kd_record_reader_to_arrow": (c_int32, [c_void_p, c_void_p]),
    "kd_store_to_arrow": (c_int32, [c_void_p, c_void_p, POINTER(c_char_p), c_int32]),
    "kd_report_create": (c_int32, [POINTER(c_void_p), c_void_p]),
    "kd_report_free": (None, [c_void_p]),
    "kd_report_set_number": (c_int32, [c_void_p, c_char_p, c_double]),
    "kd_report_set_text": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "kd_report_set_numbers": (c_int32, [c_void_p, c_char_p, POINTER(c_double), c_int64]),
    "kd_report_json": (c_int32, [c_void_p, POINTER(c_char_p)]),
    "kd_report_write": (c_int32, [c_void_p, c_char_p]),
    "kd_report_set_cell": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_double, c_double]),
    "kd_report_add_series": (c_int32, [
        c_void_p, c_char_p, c_char_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64,
    ]),
    "kd_report_set_axes": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_int32]),
    "kd_report_text": (c_int32, [c_void_p, POINTER(c_char_p)]),
    "kd_report_write_html": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "kd_filter_options_init": (None, [POINTER(kd_filter_options), c_size_t]),
    "kd_curation_options_init": (None, [POINTER(kd_curation_options), c_size_t]),
    "kd_curation_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_curation_options)]),
    "kd_curation_free": (None, [c_void_p]),
    "kd_curation_add": (c_int32, [c_void_p, c_int32, POINTER(kd_filter_options), POINTER(c_int32)]),
    "kd_curation_set": (c_int32, [c_void_p, c_int32, c_int32, c_double]),
    "kd_curation_get": (c_int32, [c_void_p, c_int32, c_int32, POINTER(c_double)]),
    "kd_curation_bounds": (c_int32, [
        c_int32, c_int32, POINTER(c_double), POINTER(c_double), POINTER(c_double),
    ]),
    "kd_curation_run": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "kd_curation_step_count": (c_int32, [c_void_p, POINTER(c_int32)]),
    "kd_curation_get_step": (c_int32, [c_void_p, c_int32, POINTER(kd_funnel)]),
    "kd_curation_reason": (c_int32, [
        c_void_p, c_int32, c_int32, POINTER(c_char_p), POINTER(c_int64),
    ]),
    "kd_curation_to_text": (c_int32, [c_void_p, POINTER(c_char_p)]),
    "kd_curation_fill_report": (c_int32, [c_void_p, c_void_p, c_char_p]),
    "kd_curation_is_held_out": (c_int32, [POINTER(c_uint64), c_uint64, c_double, POINTER(c_int32)]),
    "kd_augment_options_init": (None, [POINTER(kd_augment_options), c_size_t]),
    "kd_augment_prompts": (c_int32, [
        c_void_p, c_void_p, POINTER(kd_augment_options), POINTER(kd_augment_counts),
    ]),
    "kd_packer_options_init": (None, [POINTER(kd_packer_options), c_size_t]),
    "kd_packer_create": (c_int32, [
        POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_packer_options),
    ]),
    "kd_packer_free": (None, [c_void_p]),
    "kd_packer_add_task": (c_int32, [c_void_p, c_char_p, c_double, POINTER(c_int32)]),
    "kd_packer_add": (c_int32, [c_void_p, POINTER(kd_record), c_int32]),
    "kd_packer_add_ids": (c_int32, [
        c_void_p, POINTER(c_int32), c_void_p, c_int64, POINTER(c_uint64), c_int32,
    ]),
    "kd_packer_add_field": (c_int32, [c_void_p, c_char_p, c_int32, c_int64]),
    "kd_packer_set_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)]),
    "kd_packer_add_reader": (c_int32, [c_void_p, c_void_p, c_int32, POINTER(c_int64)]),
    "kd_packer_clear": (c_int32, [c_void_p, c_int32]),
    "kd_packer_mix": (c_int32, [c_void_p, POINTER(c_double), c_int32, c_double]),
    "kd_packer_next": (c_int32, [c_void_p, c_void_p]),
    "kd_packer_get_info": (c_int32, [c_void_p, POINTER(kd_packer_info)]),
    "kd_packer_get_task": (c_int32, [
        c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int64), POINTER(c_int64), POINTER(c_double),
    ]),
    "kd_packer_get_state": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int32)]),
    "kd_packer_set_state": (c_int32, [c_void_p, POINTER(c_int64), c_int32]),
    "kd_recipe_fill": (c_int32, [POINTER(kd_recipe), c_int32, c_double]),
    "kd_recipe_create_learning_rate": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_recipe), c_int64,
    ]),
    "kd_recipe_create_temperature": (c_int32, [
        POINTER(c_void_p), c_void_p, POINTER(kd_recipe), c_int64,
    ]),
    "kd_audio_options_init": (None, [POINTER(kd_audio_options), c_size_t]),
    "kd_audio_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_audio_options)]),
    "kd_audio_from_bytes": (c_int32, [
        POINTER(c_void_p), c_void_p, c_void_p, c_int64, POINTER(kd_audio_options),
    ]),
    "kd_audio_from_array": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array), c_int32]),
    "kd_audio_free": (None, [c_void_p]),
    "kd_audio_get_info": (c_int32, [c_void_p, POINTER(kd_audio_info)]),
    "kd_audio_samples": (c_int32, [c_void_p, POINTER(kd_array)]),
    "kd_audio_save": (c_int32, [c_void_p, c_char_p, c_int32]),
    "kd_resample_options_init": (None, [POINTER(kd_resample_options), c_size_t]),
    "kd_audio_resample": (c_int32, [c_void_p, c_int32, POINTER(kd_resample_options)]),
    "kd_mel_options_init": (None, [POINTER(kd_mel_options), c_size_t]),
    "kd_mel_get_preset": (c_int32, [c_char_p, POINTER(kd_mel_options)]),
    "kd_mel_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_mel_options)]),
    "kd_mel_free": (None, [c_void_p]),
    "kd_mel_frame_count": (c_int32, [c_void_p, c_int64, POINTER(c_int64)]),
    "kd_mel_run": (c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)]),
    "kd_batch_set_mel": (c_int32, [
        c_void_p, c_char_p, c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_dataset_add_mel": (c_int32, [
        c_void_p, c_char_p, c_void_p, POINTER(kd_array), POINTER(kd_array),
    ]),
    "kd_compare_mcnemar": (c_int32, [
        POINTER(c_int32), POINTER(c_int32), c_int64, POINTER(kd_difference),
    ]),
    "kd_compare_runs": (c_int32, [
        c_void_p, POINTER(c_int32), POINTER(c_int32), c_int32, c_int64, c_int32,
        POINTER(kd_difference),
    ]),
    "kd_compare_bootstrap": (c_int32, [
        c_void_p, POINTER(c_int32), POINTER(c_int32), c_int32, c_int64, c_int32, c_int32, c_uint64,
        POINTER(kd_difference),
    ]),
    "kd_compare_recovery": (c_double, [c_double, c_double, c_double]),
    "kd_compare_texts": (c_int32, [
        c_void_p, c_int32, POINTER(c_char_p), POINTER(c_char_p), c_int64, POINTER(c_double),
    ]),
    "kd_plan_options_init": (None, [POINTER(kd_plan_options), c_size_t]),
    "kd_plan_estimate": (c_int32, [c_void_p, POINTER(kd_plan_options), POINTER(kd_plan_info)]),
    "kd_plan_to_text": (c_int32, [c_void_p, POINTER(kd_plan_info), POINTER(c_char_p)]),
    "kd_plan_to_json": (c_int32, [c_void_p, POINTER(kd_plan_info), POINTER(c_char_p)]),
    "kd_plan_measure_machine": (c_int32, [c_void_p, c_char_p, c_double, POINTER(kd_plan_machine)]),
}
