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

#: name: (result, argument types, the header's comment)
FUNCTIONS: dict[str, tuple[Any, list[Any], str]] = {
    "kd_last_error": (
        c_char_p, [],
        "The message of the last error on this thread: what was expected and what was found. Never "
        "NULL;\n"
        '"" if nothing has failed yet. It lives in a fixed per-thread buffer until the next failing'
        "\n"
        "call."
    ),
    "kd_status_name": (
        c_char_p, [c_int32],
        'The name of a status ("KD_ERR_SHAPE"), or "unknown status" for any other number. Static te'
        "xt."
    ),
    "kd_version": (
        c_int32, [],
        "The version of the library at run time, encoded like KD_VERSION_NUMBER (major * 10000 + mi"
        "nor *\n"
        "100 + patch)."
    ),
    "kd_build_info": (
        c_char_p, [],
        'How the library was built, in one line: "kdistill 0.2.0; blas openblas; zlib yes; compiler'
        ' ...".\n'
        "Static text."
    ),
    "kd_set_error": (
        c_int32, [c_int32, c_char_p],
        "A callback that fails calls this before it returns a negative status, so that the caller o"
        "f the\n"
        "library sees the reason. `message` is copied and truncated to 400 bytes. Returns `status`."
    ),
    "kd_array_init": (
        c_int32, [POINTER(kd_array), c_void_p, c_int32, c_int32, POINTER(c_int64)],
        "Describes a contiguous array: data, dtype and `rank` dims.\n"
        "- KD_ERR_INVALID: unknown dtype, rank above KD_ARRAY_MAX_RANK, negative dim.\n"
        "- KD_ERR_RANGE: the number of bytes does not fit in int64."
    ),
    "kd_array_count": (
        c_int64, [POINTER(kd_array)],
        "The number of elements, or -1 if the description is not valid."
    ),
    "kd_dtype_bytes": (
        c_size_t, [c_int32],
        "The size of one element of a dtype in bytes; 0 for an unknown dtype."
    ),
    "kd_context_options_init": (
        None, [POINTER(kd_context_options), c_size_t],
        ""
    ),
    "kd_context_create": (
        c_int32, [POINTER(c_void_p), POINTER(kd_context_options)],
        "Creates a context. NULL options: defaults. Threads start with the first parallel work. Err"
        "ors:\n"
        "- KD_ERR_MEMORY\n"
        "- KD_ERR_RANGE: threads outside 0 to 1024, gemm, matmul_precision.\n"
        "- KD_ERR_UNSUPPORTED: isa.\n"
        "- KD_ERR_INVALID: a matmul_precision other than float32 together with a matmul of the host"
        "."
    ),
    "kd_context_free": (
        None, [c_void_p],
        "Creates a context. NULL options: defaults. Threads start with the first parallel work. Err"
        "ors:\n"
        "- KD_ERR_MEMORY\n"
        "- KD_ERR_RANGE: threads outside 0 to 1024, gemm, matmul_precision.\n"
        "- KD_ERR_UNSUPPORTED: isa.\n"
        "- KD_ERR_INVALID: a matmul_precision other than float32 together with a matmul of the host"
        "."
    ),
    "kd_context_get_info": (
        c_int32, [c_void_p, POINTER(kd_context_info)],
        ""
    ),
    "kd_context_set_blas_threads": (
        c_int32, [c_void_p, c_int32],
        "Sets the number of threads of the BLAS library, 1 to 1024.\n"
        "- It applies to the whole process, including every other user of BLAS.\n"
        "- With 1 the library cuts products into tiles and runs them on its own pool: fast, and wit"
        "h the\n"
        "  same bits for any number of threads.\n"
        "- KD_ERR_UNSUPPORTED: this BLAS has no such call."
    ),
    "kd_context_measure_matmul": (
        c_int32, [c_void_p, POINTER(c_double), POINTER(c_double)],
        "Measures a product of 192 x 768 x 768 on the context's threads, in float32 as this context"
        "\n"
        "computes it and in bfloat16: operations per second (a multiplication and an addition are t"
        "wo),\n"
        "the best of six runs each. Takes some tens of milliseconds."
    ),
    "kd_context_cancel": (
        c_int32, [c_void_p, c_int32],
        "With on = 1, every running and future call that checks for cancellation ends with\n"
        "KD_ERR_CANCELED; on = 0 lifts this. May be called from any thread and from a signal handle"
        "r."
    ),
    "kd_context_matmul": (
        c_int32, [
            c_void_p, c_int32, c_int32, c_int64, c_int64, c_int64, c_float, POINTER(c_float),
            c_int64, POINTER(c_float), c_int64, c_float, POINTER(c_float), c_int64,
        ],
        "One matrix product as the library computes it; arguments as in kd_matmul. For measurements"
        ", and\n"
        "for hosts that want the same bits. Requires k >= 1 and lda, ldb, ldc no smaller than the r"
        "ow\n"
        "length."
    ),
    "kd_context_free_text": (
        None, [c_void_p, c_char_p],
        "Frees a text that a call of this context made (kd_chat_render, kd_record_to_json, ...); NU"
        "LL:\n"
        "nothing."
    ),
    "kd_dataset_options_init": (
        None, [POINTER(kd_dataset_options), c_size_t],
        ""
    ),
    "kd_field_options_init": (
        None, [POINTER(kd_field_options), c_size_t],
        ""
    ),
    "kd_dataset_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_dataset_options)],
        "An empty dataset; the first field fixes the number of samples."
    ),
    "kd_dataset_free": (
        None, [c_void_p],
        "An empty dataset; the first field fixes the number of samples."
    ),
    "kd_dataset_add": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_field_options)],
        "Adds a field from an array (samples, ...): any dtype but float16 and bfloat16, any strides"
        ";\n"
        "copied. The borrow form keeps the pointer: contiguous, alive and unchanged until the datas"
        "et is\n"
        "freed.\n"
        "- KD_ERR_SHAPE: another number of samples; channel_scale of another number of channels.\n"
        "- KD_ERR_INVALID: the name is taken, empty or too long."
    ),
    "kd_dataset_borrow": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_field_options)],
        "Adds a field from an array (samples, ...): any dtype but float16 and bfloat16, any strides"
        ";\n"
        "copied. The borrow form keeps the pointer: contiguous, alive and unchanged until the datas"
        "et is\n"
        "freed.\n"
        "- KD_ERR_SHAPE: another number of samples; channel_scale of another number of channels.\n"
        "- KD_ERR_INVALID: the name is taken, empty or too long."
    ),
    "kd_dataset_add_file": (
        c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_field_options)],
        "Adds a field from an IDX or npy file (C or Fortran order), plain or gzip; the first bytes "
        "decide\n"
        "the format. Errors, besides those of kd_dataset_add:\n"
        "- KD_ERR_NOT_FOUND, KD_ERR_IO\n"
        "- KD_ERR_FORMAT: truncated, or sizes that do not match the file."
    ),
    "kd_dataset_load_idx": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, c_char_p, POINTER(kd_dataset_options)],
        'Loads a folder of IDX files with MNIST\'s names: <part>-images-idx3-ubyte[.gz] as "inputs"'
        " (scaled\n"
        'to 0..1) and <part>-labels-idx1-ubyte[.gz] as "label". part: "train" or "t10k".'
    ),
    "kd_csv_options_init": (
        None, [POINTER(kd_csv_options), c_size_t],
        ""
    ),
    "kd_dataset_load_csv": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_csv_options)],
        'Loads numbers from a CSV file (RFC 4180, plain or gzip): "inputs" (samples, columns) float'
        "32 and\n"
        '"label" int64.\n'
        "- An empty cell is NaN; an empty label means that the sample has none.\n"
        "- A number beyond float32 is KD_ERR_FORMAT. A first line of numbers alone that is taken as"
        " names\n"
        "  gives a warning.\n"
        "- Empty lines are skipped, unless there is only one column.\n"
        "- KD_ERR_FORMAT names the line and column of what is not a number, and lines with another "
        "number\n"
        "  of columns."
    ),
    "kd_dataset_select": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array)],
        "New dataset of the samples with the given numbers ((n) int64, repeats allowed). Fields are"
        "\n"
        "copied."
    ),
    "kd_dataset_concat": (
        c_int32, [POINTER(c_void_p), POINTER(c_void_p), c_int32],
        "New dataset of all samples of `parts`, in order. Fields are joined by name and must agree "
        "in\n"
        "dtype, shape, scale and shift, those of channels too. A field that a part lacks is absent "
        "there,\n"
        "so a labeled and an unlabeled part make one dataset."
    ),
    "kd_dataset_sample_count": (
        c_int32, [c_void_p, POINTER(c_int64)],
        "Facts. A field's view has the values as stored, before scale and shift, and stays valid un"
        "til the\n"
        "dataset is freed. `present` (may be NULL) is (samples) uint8, with data NULL if every samp"
        "le has\n"
        "the field. KD_ERR_NOT_FOUND: unknown name."
    ),
    "kd_dataset_field_count": (
        c_int32, [c_void_p, POINTER(c_int32)],
        "Facts. A field's view has the values as stored, before scale and shift, and stays valid un"
        "til the\n"
        "dataset is freed. `present` (may be NULL) is (samples) uint8, with data NULL if every samp"
        "le has\n"
        "the field. KD_ERR_NOT_FOUND: unknown name."
    ),
    "kd_dataset_field_name": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p)],
        "Facts. A field's view has the values as stored, before scale and shift, and stays valid un"
        "til the\n"
        "dataset is freed. `present` (may be NULL) is (samples) uint8, with data NULL if every samp"
        "le has\n"
        "the field. KD_ERR_NOT_FOUND: unknown name."
    ),
    "kd_dataset_field": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "Facts. A field's view has the values as stored, before scale and shift, and stays valid un"
        "til the\n"
        "dataset is freed. `present` (may be NULL) is (samples) uint8, with data NULL if every samp"
        "le has\n"
        "the field. KD_ERR_NOT_FOUND: unknown name."
    ),
    "kd_dataset_key": (
        c_int32, [c_void_p, c_int64, POINTER(c_uint64)],
        "The key of a sample: two 64-bit words."
    ),
    "kd_pseudo_label_options_init": (
        None, [POINTER(kd_pseudo_label_options), c_size_t],
        ""
    ),
    "kd_dataset_pseudo_label": (
        c_int32, [
            POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_pseudo_label_options),
            POINTER(kd_pseudo_label_counts),
        ],
        "New dataset of the samples that the teacher labels with enough confidence, in order: the f"
        "ields\n"
        'of `dataset`, with "label" replaced by the teacher\'s argmax, and "confidence" (float32), '
        "its\n"
        "probability. counts may be NULL."
    ),
    "kd_loader_options_init": (
        None, [POINTER(kd_loader_options), c_size_t],
        ""
    ),
    "kd_loader_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_loader_options)],
        'A loader over a dataset. Augmentation moves the last two axes of "inputs" (rank 3: N,H,W o'
        "r 4:\n"
        "N,C,H,W) and depends on (seed, sample, epoch) alone. Errors: KD_ERR_RANGE, KD_ERR_SHAPE\n"
        "(augmentation of something that is not an image)."
    ),
    "kd_loader_free": (
        None, [c_void_p],
        'A loader over a dataset. Augmentation moves the last two axes of "inputs" (rank 3: N,H,W o'
        "r 4:\n"
        "N,C,H,W) and depends on (seed, sample, epoch) alone. Errors: KD_ERR_RANGE, KD_ERR_SHAPE\n"
        "(augmentation of something that is not an image)."
    ),
    "kd_loader_next": (
        c_int32, [c_void_p, c_void_p],
        "Fills `batch` with the next samples. Returns KD_OK, or KD_END after `epochs` passes; the c"
        "all\n"
        "after KD_END starts the next pass."
    ),
    "kd_loader_position": (
        c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int64), POINTER(c_int64)],
        "Where the loader is: passes started before this one, samples delivered in this one to all "
        "ranks,\n"
        "and batches of this rank per pass. A checkpoint keeps the samples delivered to all ranks. "
        "Another\n"
        "number of ranks or another batch size can resume from it if that is a whole number of thei"
        "r\n"
        "rounds; else KD_ERR_MISMATCH."
    ),
    "kd_loader_seek": (
        c_int32, [c_void_p, c_int64],
        "Goes to the beginning of a pass."
    ),
    "kd_batch_options_init": (
        None, [POINTER(kd_batch_options), c_size_t],
        ""
    ),
    "kd_batch_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_batch_options)],
        "An empty batch, to be filled by a loader, by the host with kd_batch_set, or with texts: by"
        "\n"
        "kd_batch_begin_texts (kdistill/align.h) or a packer."
    ),
    "kd_batch_free": (
        None, [c_void_p],
        "An empty batch, to be filled by a loader, by the host with kd_batch_set, or with texts: by"
        "\n"
        "kd_batch_begin_texts (kdistill/align.h) or a packer."
    ),
    "kd_batch_begin": (
        c_int32, [c_void_p, c_int64],
        "Starts a batch of the host: `samples` samples of one row each. Fields, keys and presence a"
        "re\n"
        "cleared."
    ),
    "kd_batch_begin_packed": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "The same for packed sequences: sample i has the rows offsets[i] .. offsets[i + 1] - 1; (sa"
        "mples +\n"
        "1) integers, starting at 0 and never decreasing. Fields have one entry per row. A batch wi"
        "thout\n"
        "rows is an empty one for every model and loss, whatever fields of samples it has: where th"
        "e texts\n"
        "beside images may all be empty, give each one token at least."
    ),
    "kd_batch_set": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "Sets a field (rows, ...) from the host's array, copied as float32 or int64; `present` ((ro"
        "ws)\n"
        "uint8) may be NULL. The borrow form keeps the pointers until the next kd_batch_begin: cont"
        "iguous\n"
        "float32 or int64."
    ),
    "kd_batch_borrow": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "Sets a field (rows, ...) from the host's array, copied as float32 or int64; `present` ((ro"
        "ws)\n"
        "uint8) may be NULL. The borrow form keeps the pointers until the next kd_batch_begin: cont"
        "iguous\n"
        "float32 or int64."
    ),
    "kd_batch_set_per_sample": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "Sets a field (samples, ...): a text's label, its group, its picture; `present` is (samples"
        ") uint8\n"
        "or NULL. Copied as kd_batch_set does. Since 0.2.\n"
        "- Where each sample has one row, it is the same as kd_batch_set.\n"
        "- Labels and teachers of a term are of the unit of its output; a mask or weight of samples"
        " also\n"
        "  serves outputs of rows: each row takes its sample's (kdistill/loss.h)."
    ),
    "kd_batch_set_ragged": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)],
        "Sets a field with its own rows, as speech frames beside tokens: values (its rows, ...), of"
        "\n"
        "which sample i has offsets[i] .. offsets[i + 1] - 1. offsets: (samples + 1) integers, star"
        "ting at\n"
        "0, never decreasing, the last one the number of its rows. `present` as above. Copied. Sinc"
        "e 0.2.\n"
        "KD_ERR_RANGE, KD_ERR_SHAPE: offsets that are not so."
    ),
    "kd_batch_field": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "Views of the batch, valid until it is filled again. data of `present` (may be NULL) is NUL"
        "L if\n"
        "every row (or sample) has the field."
    ),
    "kd_batch_field_offsets": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "The offsets of a field of kd_batch_set_ragged: (samples + 1) int64. KD_ERR_INVALID: the fi"
        "eld has\n"
        "no offsets. Since 0.2."
    ),
    "kd_batch_get_counts": (
        c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int64)],
        "The offsets of a field of kd_batch_set_ragged: (samples + 1) int64. KD_ERR_INVALID: the fi"
        "eld has\n"
        "no offsets. Since 0.2."
    ),
    "kd_batch_offsets": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "First row of each sample, and the number of rows at the end: (samples + 1) int64."
    ),
    "kd_batch_samples": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)],
        "The samples' numbers in the dataset ((samples) int64), keys ((samples, 2) uint64) and view"
        "s\n"
        "((samples) int64). Any of the three may be NULL. Without a loader: 0, 1, 2 ..., keys 0 and"
        " views\n"
        "0."
    ),
    "kd_batch_origin": (
        c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_char_p)],
        "Who made a batch's tokens: a hash of the tokenizer (kd_tokenizer_hash) and how texts were"
        "\n"
        'rendered, both shorter than KD_NAME_BYTES; "": unknown. A packer sets them, a store keeps '
        "those\n"
        "of its first batch, and messages name both. Valid until the batch begins again, so set the"
        "m after\n"
        "that. Either may be NULL. Since 0.2."
    ),
    "kd_batch_set_origin": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "Who made a batch's tokens: a hash of the tokenizer (kd_tokenizer_hash) and how texts were"
        "\n"
        'rendered, both shorter than KD_NAME_BYTES; "": unknown. A packer sets them, a store keeps '
        "those\n"
        "of its first batch, and messages name both. Valid until the batch begins again, so set the"
        "m after\n"
        "that. Either may be NULL. Since 0.2."
    ),
    "kd_batch_set_samples": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)],
        "Gives the host's batch its sample numbers, keys and views; each may be NULL (unchanged).\n"
        "Copied."
    ),
    "kd_resize_options_init": (
        None, [POINTER(kd_resize_options), c_size_t],
        ""
    ),
    "kd_image_resize": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_resize_options)],
        "Resizes one image or several, each channel by itself, across and down. A pixel of the resu"
        "lt is\n"
        "the mean of the image's pixels around its place, weighted by the filter; pixel i of `to` l"
        "ies at\n"
        "((i + 1/2) from / to), and where the result is smaller the filter is stretched by from / t"
        "o\n"
        "(anti-alias). Weights of a pixel add up to 1; what lies outside the image has none.\n"
        "- image: uint8 or float32. resized: of the same dtype, rank, channels and samples; its hei"
        "ght and\n"
        "  width are the new ones. Both may have any strides; they do not overlap.\n"
        "- uint8 has the numbers of PIL's Image.resize to the bit (weights of 22 bits, each of the "
        "two\n"
        "  passes rounded to 0 .. 255), as Pillow 3.3 to 12 have them; float32 has those of its mod"
        "e F.\n"
        "  Pillow 13 goes down first where the height shrinks much more than the width, and 12.2 wh"
        "ere it\n"
        "  is more than 100 times the width: `down_first`.\n"
        "- With alpha PIL multiplies colors by it before and divides after: the host's, if it wants"
        " that.\n"
        "- The same bits for any number of threads.\n"
        "- KD_ERR_DTYPE, KD_ERR_SHAPE: other arrays; an empty side. KD_ERR_RANGE: resample; a part "
        "that is\n"
        "  empty or not inside the image; a side above 2^24."
    ),
    "kd_image_crop": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array)],
        "Copies the middle of one image or several, as many pixels as `cropped` has; where the imag"
        "e is\n"
        "smaller, it stands in the middle of zeros. Row i of the result is row i + floor((height - "
        "new\n"
        "height) / 2). uint8 or float32, any strides, the same dtype, rank, channels and samples; e"
        "rrors\n"
        "as above."
    ),
    "kd_image_processor_load": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p],
        "What the folder of a vision model says about its images.\n"
        "- load: preprocessor_config.json of a folder; where it does not name its image_processor_t"
        "ype (or\n"
        "  feature_extractor_type), the model_type of the folder's config.json decides.\n"
        "- create: the same from JSON text, which names the type.\n"
        "Types: those of ViT, DeiT and CLIP, and their defaults. Keys: do_resize, size, resample,\n"
        "do_center_crop, crop_size, do_rescale, rescale_factor, do_normalize, image_mean, image_std"
        ",\n"
        "do_convert_rgb.\n"
        "- KD_ERR_CONFIG: a value that is none. KD_ERR_UNSUPPORTED: a type or a key that would chan"
        "ge the\n"
        "  result and is not known, by name. KD_ERR_NOT_FOUND, KD_ERR_FORMAT: no such file, no JSON"
        "."
    ),
    "kd_image_processor_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p],
        "What the folder of a vision model says about its images.\n"
        "- load: preprocessor_config.json of a folder; where it does not name its image_processor_t"
        "ype (or\n"
        "  feature_extractor_type), the model_type of the folder's config.json decides.\n"
        "- create: the same from JSON text, which names the type.\n"
        "Types: those of ViT, DeiT and CLIP, and their defaults. Keys: do_resize, size, resample,\n"
        "do_center_crop, crop_size, do_rescale, rescale_factor, do_normalize, image_mean, image_std"
        ",\n"
        "do_convert_rgb.\n"
        "- KD_ERR_CONFIG: a value that is none. KD_ERR_UNSUPPORTED: a type or a key that would chan"
        "ge the\n"
        "  result and is not known, by name. KD_ERR_NOT_FOUND, KD_ERR_FORMAT: no such file, no JSON"
        "."
    ),
    "kd_image_processor_free": (
        None, [c_void_p],
        "What the folder of a vision model says about its images.\n"
        "- load: preprocessor_config.json of a folder; where it does not name its image_processor_t"
        "ype (or\n"
        "  feature_extractor_type), the model_type of the folder's config.json decides.\n"
        "- create: the same from JSON text, which names the type.\n"
        "Types: those of ViT, DeiT and CLIP, and their defaults. Keys: do_resize, size, resample,\n"
        "do_center_crop, crop_size, do_rescale, rescale_factor, do_normalize, image_mean, image_std"
        ",\n"
        "do_convert_rgb.\n"
        "- KD_ERR_CONFIG: a value that is none. KD_ERR_UNSUPPORTED: a type or a key that would chan"
        "ge the\n"
        "  result and is not known, by name. KD_ERR_NOT_FOUND, KD_ERR_FORMAT: no such file, no JSON"
        "."
    ),
    "kd_image_processor_find_size": (
        c_int32, [c_void_p, c_int64, c_int64, POINTER(c_int64), POINTER(c_int64)],
        "The size that an image of height x width will have."
    ),
    "kd_image_processor_prepare": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array)],
        "Resizes, crops, rescales and normalizes one image or several of one size: pixels (channels"
        ", h, w)\n"
        "or (samples, channels, h, w), contiguous float32, of image (height, width, channels) or (s"
        "amples,\n"
        "height, width, channels), uint8 of any strides. The numbers are those of transformers' ima"
        "ge\n"
        "processors on PIL. One context's processor may be used by several threads.\n"
        "- KD_ERR_DTYPE, KD_ERR_SHAPE: other arrays; channels that are not those of image_mean; pix"
        "els\n"
        "  that are not as find_size says."
    ),
    "kd_model_options_init": (
        None, [POINTER(kd_model_options), c_size_t],
        ""
    ),
    "kd_model_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_model_options)],
        "A model with fresh weights: U(-a, a), a = 1 / sqrt(fan-in), for weights and biases (PyTorc"
        "h's\n"
        "default), from the seed; batch norms 1 and 0, running means 0 and variances 1. Language mo"
        "dels:\n"
        "N(0, initializer_range) for matrices, norms 1, biases 0. KD_ERR_CONFIG names the unknown k"
        "ey, or\n"
        "the layer that does not fit the one before it."
    ),
    "kd_model_load": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_model_options)],
        "A model from one of these; a tensor that is missing, unknown or of the wrong shape is an e"
        "rror\n"
        "that names it:\n"
        "- a folder with config.json and model.safetensors, or the shards of model.safetensors.inde"
        "x.json\n"
        "  (F32, F16, BF16, F64; mapped while they are read);\n"
        "- a folder of static embeddings: model2vec's, or one whose modules.json names a StaticEmbe"
        "dding\n"
        "  and a Normalize or nothing after it. Since 0.2;\n"
        "- a GGUF file of architecture llama, qwen2 or qwen3 (F32, F16, BF16, and the formats of\n"
        "  block.h). Since 0.2."
    ),
    "kd_model_free": (
        None, [c_void_p],
        "A model from one of these; a tensor that is missing, unknown or of the wrong shape is an e"
        "rror\n"
        "that names it:\n"
        "- a folder with config.json and model.safetensors, or the shards of model.safetensors.inde"
        "x.json\n"
        "  (F32, F16, BF16, F64; mapped while they are read);\n"
        "- a folder of static embeddings: model2vec's, or one whose modules.json names a StaticEmbe"
        "dding\n"
        "  and a Normalize or nothing after it. Since 0.2;\n"
        "- a GGUF file of architecture llama, qwen2 or qwen3 (F32, F16, BF16, and the formats of\n"
        "  block.h). Since 0.2."
    ),
    "kd_model_save_options_init": (
        None, [POINTER(kd_model_save_options), c_size_t],
        ""
    ),
    "kd_model_save": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_model_save_options)],
        "Writes config.json and model.safetensors (or shards and model.safetensors.index.json) into"
        "\n"
        "`folder`, which is created if needed. Each file is written to a temporary name and renamed"
        ". A\n"
        "loaded model brings its folder's tokenizer and generation files along. transformers loads "
        "what a\n"
        "language model writes; of a model with kd_heads its trunk.\n"
        "- head: a head of samples as ...ForSequenceClassification of bert, distilbert, roberta,\n"
        "  xlm-roberta (pooling cls, a hidden layer as wide as the trunk), llama, mistral, qwen2, q"
        "wen3\n"
        "  (pooling last, no bias), as ...ForImageClassification of vit and deit (pooling cls); a h"
        "ead of\n"
        "  rows as ...ForTokenClassification of the language models. Another form is KD_ERR_UNSUPPO"
        "RTED,\n"
        "  which says what the class has; KD_ERR_NOT_FOUND: there is no such head.\n"
        "Errors: KD_ERR_RANGE (over 1,000 shards), KD_ERR_UNSUPPORTED (dtype), KD_ERR_IO."
    ),
    "kd_model_estimate_memory": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_model_options), POINTER(kd_model_memory_info)],
        ""
    ),
    "kd_model_forward": (
        c_int32, [c_void_p, c_void_p, c_int32],
        'Runs the model on the batch\'s input field (config key "input", default "inputs"), mode\n'
        "KD_MODE_TRAIN, KD_MODE_EVALUATE or KD_MODE_REHEARSE. KD_MODE_TRAIN counts dropout's random"
        "\n"
        "numbers per pass (part of a checkpoint). If parts of a batch are rehearsed and then traine"
        "d in\n"
        "the same order, all these passes draw the numbers of one pass over the whole batch: what w"
        "as\n"
        "rehearsed is what is trained (kd_loss_backward_chunks does both). Errors: KD_ERR_NOT_FOUND"
        " (no\n"
        "such field), KD_ERR_SHAPE (row size), KD_ERR_STATE (another mode than KD_MODE_EVALUATE on "
        "a\n"
        "frozen model), KD_ERR_UNSUPPORTED (KD_MODE_REHEARSE with batch norm)."
    ),
    "kd_model_end_rehearsal": (
        c_int32, [c_void_p],
        "Forgets what was rehearsed and not trained: the next passes are of another batch. A rehear"
        "sal\n"
        "ends by itself when all of it was trained, when it fails, and when a checkpoint is saved. "
        "Since\n"
        "0.2"
    ),
    "kd_model_output": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "View (rows or samples, ...) of a named output of the last forward pass; valid until the ne"
        "xt one.\n"
        'Rows of "attention.i..." may lie further apart than they are wide: strides tell.\n'
        "KD_ERR_NOT_FOUND: there is no such output (the message lists those that are), or the pass "
        "was not\n"
        "asked to keep it."
    ),
    "kd_model_keep": (
        c_int32, [c_void_p, c_char_p, c_int32],
        "Makes evaluating passes from now on keep the outputs whose names match the pattern (* and "
        "?), as\n"
        '"hidden.*" or "attention.5.*" (on = 1), or not (0). Since 0.2.\n'
        '- Before any call, language models keep "hidden", "logits" and outputs of samples; others '
        "keep\n"
        "  all.\n"
        '- Keeping "logits" that a head makes from "hidden" keeps "hidden".\n'
        '- A pass stops after the highest layer that is asked for: kd_model_keep(teacher, "*", 0), '
        "then\n"
        '  kd_model_keep(teacher, "hidden.5", 1) leaves out the layers from 6 on and the head, and '
        "asking\n"
        '  for "logits" then is KD_ERR_NOT_FOUND. Teachers from a model offer what is kept.\n'
        '- Training passes run whole; they keep "attention.i..." of layers that recompute if asked '
        "to.\n"
        "- What is kept takes kd_output_info.row_bytes a row, until the next pass.\n"
        "KD_ERR_NOT_FOUND: nothing matches."
    ),
    "kd_model_get_output_info": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_output_info)],
        "KD_ERR_NOT_FOUND lists the model's outputs. Since 0.2."
    ),
    "kd_model_add_output_gradient": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "Adds gradients (same shape as the output) of one output for the next kd_model_backward. Fo"
        "r hosts\n"
        "with a loss of their own; kd_loss_backward does both."
    ),
    "kd_model_backward": (
        c_int32, [c_void_p],
        "Propagates the output gradients back and accumulates parameter gradients. After kd_optimiz"
        "er_step\n"
        "or kd_model_zero_gradients, the first backward pass overwrites instead. KD_ERR_STATE: no\n"
        "KD_MODE_TRAIN pass before, or shared_gradients without kd_optimizer_begin_step."
    ),
    "kd_model_zero_gradients": (
        c_int32, [c_void_p],
        "Propagates the output gradients back and accumulates parameter gradients. After kd_optimiz"
        "er_step\n"
        "or kd_model_zero_gradients, the first backward pass overwrites instead. KD_ERR_STATE: no\n"
        "KD_MODE_TRAIN pass before, or shared_gradients without kd_optimizer_begin_step."
    ),
    "kd_model_predict": (
        c_int32, [c_void_p, c_void_p, c_char_p, c_int32, POINTER(kd_array)],
        "Runs the model (KD_MODE_EVALUATE) over a dataset in order and writes one output's rows int"
        "o\n"
        "`values` (samples, width) float32. KD_ERR_SHAPE: the output has several rows per sample."
    ),
    "kd_model_parameters": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "The flat blocks, (parameters) float32; the host may write to them between calls.\n"
        "- Gradients: KD_ERR_STATE if frozen or shared.\n"
        "- A host that makes gradients itself calls kd_model_zero_gradients before it writes them: "
        "before\n"
        "  the first backward pass and after each kd_optimizer_step they count as zero, whatever th"
        "e block\n"
        "  holds."
    ),
    "kd_model_gradients": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "The flat blocks, (parameters) float32; the host may write to them between calls.\n"
        "- Gradients: KD_ERR_STATE if frozen or shared.\n"
        "- A host that makes gradients itself calls kd_model_zero_gradients before it writes them: "
        "before\n"
        "  the first backward pass and after each kd_optimizer_step they count as zero, whatever th"
        "e block\n"
        "  holds."
    ),
    "kd_model_tensor_count": (
        c_int32, [c_void_p, POINTER(c_int32)],
        'Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw),\n'
        '"layers.0.bias" (out).'
    ),
    "kd_model_tensor": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(kd_array)],
        'Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw),\n'
        '"layers.0.bias" (out).'
    ),
    "kd_model_tensor_gradient": (
        c_int32, [c_void_p, c_int32, POINTER(kd_array)],
        'Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw),\n'
        '"layers.0.bias" (out).'
    ),
    "kd_model_freeze": (
        c_int32, [c_void_p, c_char_p, c_int32],
        "Makes optimizers skip (on = 1) or update (0) parameters whose name matches the pattern (* "
        "and ?).\n"
        "- Their gradients become 0. A backward pass ends at the lowest layer that is trained, and "
        "leaves\n"
        "  the gradients of frozen layers unchanged.\n"
        "- KD_ERR_NOT_FOUND: nothing matches."
    ),
    "kd_model_count_nonfinite": (
        c_int32, [c_void_p, POINTER(c_int64), POINTER(c_char_p)],
        "How many parameters are NaN or infinite; *tensor (may be NULL) is the first tensor that ha"
        "s one,\n"
        "or NULL. Loading does not check this."
    ),
    "kd_model_config": (
        c_int32, [c_void_p, POINTER(c_char_p)],
        "The config as JSON text; lives as long as the model."
    ),
    "kd_model_copy_parameters": (
        c_int32, [c_void_p, c_void_p],
        "Copies the parameters of another model with the same config, else KD_ERR_MISMATCH."
    ),
    "kd_model_get_info": (
        c_int32, [c_void_p, POINTER(kd_model_info)],
        ""
    ),
    "kd_head_init": (
        None, [POINTER(kd_head), c_size_t],
        ""
    ),
    "kd_teacher_options_init": (
        None, [POINTER(kd_teacher_options), c_size_t],
        ""
    ),
    "kd_teacher_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array), POINTER(kd_teacher_options)],
        "A teacher from arrays: create it, then add fields of (samples, ...). It answers for sample"
        "s, of\n"
        "one row each or of packed tokens.\n"
        "- keys: (samples, 2) uint64, copied; required with KD_LOOKUP_KEY, else NULL.\n"
        '- "probabilities" (float, each row sums to 1 within 1e-3) become "logits" by their logarit'
        "hms.\n"
        '- "label" is integer.\n'
        "- Fields are copied, or borrowed: contiguous float32 (labels int64), alive and unchanged w"
        "hile\n"
        "  the teacher lives."
    ),
    "kd_teacher_add": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "A teacher from arrays: create it, then add fields of (samples, ...). It answers for sample"
        "s, of\n"
        "one row each or of packed tokens.\n"
        "- keys: (samples, 2) uint64, copied; required with KD_LOOKUP_KEY, else NULL.\n"
        '- "probabilities" (float, each row sums to 1 within 1e-3) become "logits" by their logarit'
        "hms.\n"
        '- "label" is integer.\n'
        "- Fields are copied, or borrowed: contiguous float32 (labels int64), alive and unchanged w"
        "hile\n"
        "  the teacher lives."
    ),
    "kd_teacher_borrow": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "A teacher from arrays: create it, then add fields of (samples, ...). It answers for sample"
        "s, of\n"
        "one row each or of packed tokens.\n"
        "- keys: (samples, 2) uint64, copied; required with KD_LOOKUP_KEY, else NULL.\n"
        '- "probabilities" (float, each row sums to 1 within 1e-3) become "logits" by their logarit'
        "hms.\n"
        '- "label" is integer.\n'
        "- Fields are copied, or borrowed: contiguous float32 (labels int64), alive and unchanged w"
        "hile\n"
        "  the teacher lives."
    ),
    "kd_teacher_from_model": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_options)],
        "A live teacher: the model's outputs on the batch itself (augmented as the student sees it)"
        ". Keeps\n"
        "the model alive."
    ),
    "kd_ensemble_options_init": (
        None, [POINTER(kd_ensemble_options), c_size_t],
        ""
    ),
    "kd_teacher_from_ensemble": (
        c_int32, [
            POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_int32, POINTER(kd_ensemble_options),
        ],
        "Several teachers as one: their fields are merged. Keeps them alive. A row that one member "
        "lacks\n"
        "is absent. Dense logits give dense logits. Sparse members (since 0.2):\n"
        "- A sparse member (top-k) makes the result sparse, even beside dense ones: the union of th"
        "e ids,\n"
        "  with the tail. An id that a record lacks gets its tail's mass / (V - k), counted as borr"
        "owed.\n"
        "- Sampled counts are merged only with sampled counts.\n"
        "- They need the ensemble's temperature, the same number of classes and KD_MEAN_OF_PROBABIL"
        "ITIES.\n"
        "  If not, the read fails: KD_ERR_MISMATCH, KD_ERR_SHAPE, KD_ERR_UNSUPPORTED."
    ),
    "kd_teacher_from_tasks": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_void_p), POINTER(c_char_p), c_int32],
        'Teachers of several tasks as one: what the teacher of names[i] calls "logits" is "logits.N'
        'AME",\n'
        "and so with every field, so that a term's teacher_field tells whose answer it compares. Te"
        "achers\n"
        "of any kind, kept alive; nothing is averaged or copied. A sample that one teacher does not"
        " know\n"
        "(KD_MISSING_ABSENT) is absent in that teacher's fields alone. names: (count) without '.', "
        "copied;\n"
        'NULL or "" where fields keep their names. KD_ERR_INVALID: a name twice; when read, a field'
        " twice.\n"
        "kd_loss_keep_outputs asks each live model for its own outputs. Since 0.2."
    ),
    "kd_teacher_from_callbacks": (
        c_int32, [
            POINTER(c_void_p), c_void_p, POINTER(kd_teacher_callbacks), POINTER(kd_teacher_options),
        ],
        ""
    ),
    "kd_teacher_collect": (
        c_int32, [POINTER(c_void_p), c_void_p, c_void_p, c_int32],
        "Asks a teacher about every sample of a dataset, in order, and keeps the answers in memory:"
        " a new\n"
        "teacher, looked up by key, with the fields of the answers."
    ),
    "kd_teacher_free": (
        None, [c_void_p],
        "Asks a teacher about every sample of a dataset, in order, and keeps the answers in memory:"
        " a new\n"
        "teacher, looked up by key, with the fields of the answers."
    ),
    "kd_teacher_field": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "View (samples, ...) of a field of a teacher made from arrays or by kd_teacher_collect; val"
        "id\n"
        "while the teacher lives."
    ),
    "kd_targets_options_init": (
        None, [POINTER(kd_targets_options), c_size_t],
        ""
    ),
    "kd_targets_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_targets_options)],
        ""
    ),
    "kd_targets_free": (
        None, [c_void_p],
        ""
    ),
    "kd_teacher_read": (
        c_int32, [c_void_p, c_void_p, c_void_p],
        "Reads what the teacher says about the batch. Buffers are reused: nothing is allocated afte"
        "r the\n"
        "largest batch."
    ),
    "kd_targets_begin": (
        c_int32, [c_void_p, c_int64],
        'The host\'s own targets: begin, then set fields of (rows, ...), copied as float32 ("label"'
        ":\n"
        "int64), or borrowed until the next kd_targets_begin. `present` ((rows) uint8) marks the ro"
        "ws that\n"
        "have a teacher; NULL: all."
    ),
    "kd_targets_set": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        'The host\'s own targets: begin, then set fields of (rows, ...), copied as float32 ("label"'
        ":\n"
        "int64), or borrowed until the next kd_targets_begin. `present` ((rows) uint8) marks the ro"
        "ws that\n"
        "have a teacher; NULL: all."
    ),
    "kd_targets_borrow": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        'The host\'s own targets: begin, then set fields of (rows, ...), copied as float32 ("label"'
        ":\n"
        "int64), or borrowed until the next kd_targets_begin. `present` ((rows) uint8) marks the ro"
        "ws that\n"
        "have a teacher; NULL: all."
    ),
    "kd_targets_set_per_sample": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "A field (samples, ...): a text's embedding, its class. The first such field tells how many"
        "\n"
        "samples there are, unless a teacher is read; `present` is (samples) uint8. Copied as\n"
        "kd_targets_set does. A batch of one row a sample takes it as if it were of rows. Since 0.2"
        "."
    ),
    "kd_sparse_init": (
        None, [POINTER(kd_sparse), c_size_t],
        ""
    ),
    "kd_targets_set_sparse": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_sparse), POINTER(kd_array)],
        "Sets a sparse field (terms name it in teacher_field), copied: ids sorted, values as float3"
        "2."
    ),
    "kd_targets_sparse": (
        c_int32, [
            c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
            POINTER(kd_array), POINTER(kd_array),
        ],
        "Views of a sparse field: offsets (rows + 1) int64, ids uint32, values float32, tail (rows)"
        "\n"
        "float32; any may be NULL."
    ),
    "kd_targets_select": (
        c_int32, [
            c_void_p, c_char_p, POINTER(kd_array), c_int64, c_double, c_double, POINTER(kd_array),
        ],
        "The k largest classes of dense logits (rows, V; float32, float16 or bfloat16) at a tempera"
        "ture,\n"
        "with the exact mass outside, also at `further` temperatures: a sparse field. mass in (0, 1"
        "): the\n"
        "fewest ids that reach it, at most k; 0: k ids."
    ),
    "kd_targets_sample": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), c_int64, c_double, c_uint64],
        "Draws `draws` times per row from softmax(logits / temperature), using a counter-based stre"
        "am of\n"
        "(seed, row): a sparse field of counts, with the entropy."
    ),
    "kd_targets_field": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "View of a field; data of `present` (may be NULL) is NULL if every row has it. Valid until "
        "the\n"
        "targets are filled again."
    ),
    "kd_targets_borrow_head": (
        c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_head)],
        'Gives the targets a dense field `name` (usually "logits"): the field `hidden` ((rows, d) f'
        "loat32)\n"
        "times a head, computed by the loss in blocks and never stored. The head's arrays stay aliv"
        "e and\n"
        "unchanged until the targets begin again; the struct itself is copied."
    ),
    "kd_targets_align_batch": (
        c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_int64)],
        "Begins `to` again, with all fields of `from` moved from the rows of teacher_batch to those"
        " of\n"
        'batch. Sample s of both is the same text, and both have a field "end".\n'
        "- A row predicts the next token (KD_ALIGN_NEXT). A student's row gets the teacher's row th"
        "at has\n"
        "  seen the same bytes, if the two next tokens end at the same byte, or if both texts end t"
        "here.\n"
        "- Fields of samples are unchanged.\n"
        "- Other rows are absent. *aligned (may be NULL): how many rows have a teacher.\n"
        "- A head is borrowed from `from`, which must not change while `to` is used."
    ),
    "kd_loss_options_init": (
        None, [POINTER(kd_loss_options), c_size_t],
        ""
    ),
    "kd_term_options_init": (
        None, [POINTER(kd_term_options), c_size_t],
        ""
    ),
    "kd_loss_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_loss_options)],
        ""
    ),
    "kd_loss_free": (
        None, [c_void_p],
        ""
    ),
    "kd_loss_add": (
        c_int32, [c_void_p, c_int32, c_double, POINTER(kd_term_options), POINTER(c_int32)],
        "Adds a term; *term (may be NULL) is its number, from 0. Names in the options are copied."
    ),
    "kd_loss_set": (
        c_int32, [c_void_p, c_int32, c_int32, c_double],
        "KD_ERR_INVALID: the term's kind has no such number; the message lists those it has.\n"
        "KD_ERR_RANGE: out of bounds (the message names them)."
    ),
    "kd_loss_get": (
        c_int32, [c_void_p, c_int32, c_int32, POINTER(c_double)],
        "KD_ERR_INVALID: the term's kind has no such number; the message lists those it has.\n"
        "KD_ERR_RANGE: out of bounds (the message names them)."
    ),
    "kd_loss_bounds": (
        c_int32, [c_int32, c_int32, POINTER(c_double), POINTER(c_double), POINTER(c_double)],
        "Bounds and default of a kind's number; each may be NULL. KD_ERR_INVALID: the kind has none"
        "."
    ),
    "kd_loss_get_term": (
        c_int32, [c_void_p, c_int32, POINTER(c_int32), POINTER(kd_term_options)],
        "A term's current options; names live as long as the loss. The caller sets their struct_siz"
        "e."
    ),
    "kd_loss_count": (
        c_int32, [c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts)],
        "Counts one batch. The caller sets counts->struct_size and result->struct_size. targets may"
        " be\n"
        "NULL if no term needs a teacher. Errors: KD_ERR_NOT_FOUND (field), KD_ERR_SHAPE (rows),\n"
        "KD_ERR_RANGE (label, with its row)."
    ),
    "kd_loss_counts_add": (
        c_int32, [POINTER(kd_loss_counts), POINTER(kd_loss_counts)],
        "counts = counts + more, term by term."
    ),
    "kd_loss_backward": (
        c_int32, [
            c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts),
            POINTER(kd_loss_result),
        ],
        "Value and gradients on a model after its forward pass, propagated back and accumulated in "
        "its\n"
        "parameter gradients. counts NULL: this batch's own. targets may be NULL if no term needs a"
        "\n"
        "teacher, and result always. If the call fails, nothing is accumulated."
    ),
    "kd_loss_forward": (
        c_int32, [
            c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts),
            POINTER(kd_loss_result),
        ],
        "The value only, on a model after a forward pass."
    ),
    "kd_loss_estimate_memory": (
        c_int32, [c_void_p, c_int64, c_int64, c_int64, c_int64, POINTER(c_int64), POINTER(c_int64)],
        "Bytes that a call takes beyond the caller's arrays, and the rows per pass through the head"
        ".\n"
        "Widths are those of hidden states if a side's logits are computed from them, else 0. A hea"
        "d with\n"
        "its own skip_bound, in a loss without one, takes fewer rows than reported. Features: `clas"
        "ses`\n"
        "is the width of a side that no projection tells; the parameters of projections are counted"
        "."
    ),
    "kd_loss_evaluate": (
        c_int32, [
            c_void_p, POINTER(kd_loss_output), c_int32, c_void_p, c_void_p, POINTER(kd_loss_counts),
            POINTER(kd_loss_result),
        ],
        "The loss alone, on plain arrays: labels, masks and weights are fields of the batch, the te"
        "acher's\n"
        "side comes from the targets. If the call fails, the gradients are undefined."
    ),
    "kd_loss_set_diagnostics": (
        c_int32, [c_void_p, c_int32],
        "They cost a pass over the arrays and are off by default."
    ),
    "kd_loss_get_diagnostics": (
        c_int32, [c_void_p, c_int32, POINTER(kd_loss_diagnostics)],
        "They cost a pass over the arrays and are off by default."
    ),
    "kd_loss_set_shared_classes": (
        c_int32, [c_void_p, c_int32, POINTER(kd_array), c_int64],
        "ULD with classes that both tokenizers share. teacher_of ((student classes) integers, copie"
        "d) has\n"
        "the teacher's class of each student class, or -1; NULL: plain ULD again. The term is KL ov"
        "er the\n"
        "shared classes and one bucket for all others, plus the sorted differences of the unshared "
        "ones.\n"
        "KD_ERR_INVALID: not a ULD term; KD_ERR_RANGE: classes out of bounds or repeated."
    ),
    "kd_projection_options_init": (
        None, [POINTER(kd_projection_options), c_size_t],
        ""
    ),
    "kd_loss_set_projection": (
        c_int32, [c_void_p, c_int32, POINTER(kd_projection_options)],
        "Gives a feature term a projection; the first term of a name makes it, with random numbers "
        "of the\n"
        "context's seed and the name. KD_ERR_STATE: the term has one, or an optimizer has the loss."
        "\n"
        "KD_ERR_MISMATCH: a term has the name with another kind or other widths."
    ),
    "kd_loss_prepare": (
        c_int32, [c_void_p, c_void_p, c_void_p],
        "Fixes widths that are open, from the outputs of a model after a forward pass and from fiel"
        "ds of\n"
        "the targets, so that all parameters are there. Either may be NULL where nothing is taken f"
        "rom\n"
        "it."
    ),
    "kd_loss_tensor_count": (
        c_int32, [c_void_p, POINTER(c_int32)],
        ""
    ),
    "kd_loss_tensor": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(kd_array)],
        ""
    ),
    "kd_loss_tensor_gradient": (
        c_int32, [c_void_p, c_int32, POINTER(kd_array)],
        ""
    ),
    "kd_loss_zero_gradients": (
        c_int32, [c_void_p],
        ""
    ),
    "kd_loss_save_tensors": (
        c_int32, [c_void_p, c_char_p],
        "All tensors as a safetensors file. KD_ERR_STATE: there are none."
    ),
    "kd_loss_load_tensors": (
        c_int32, [c_void_p, c_char_p],
        "The tensors that the loss has, from such a file; others in the file are left alone. Widths"
        " that\n"
        "are open take the file's. KD_ERR_NOT_FOUND: one is missing; KD_ERR_SHAPE: of another shape"
        ". Then\n"
        "nothing has changed."
    ),
    "kd_loss_map_layers": (
        c_int32, [c_int32, c_int32, c_int32, POINTER(c_int32)],
        "A teacher's layer for each of a student's: KD_LAYERS_UNIFORM, _FIRST, _LAST or _BLOCKS of"
        "\n"
        "model.h, into teacher_of (student_layers). KD_ERR_RANGE: fewer than one, or more than the"
        "\n"
        "teacher's."
    ),
    "kd_loss_add_mapped": (
        c_int32, [
            c_void_p, c_int32, c_double, POINTER(kd_term_options), POINTER(c_int32), c_int32,
            POINTER(c_int32),
        ],
        "A term for each layer i of the student with a layer of the teacher (teacher_of[i]; -1: non"
        "e), of\n"
        "weight / the number of such layers. In the options student_output and teacher_field are na"
        "mes\n"
        'with one %d, which becomes i and teacher_of[i]: "hidden.%d". The terms\' numbers begin at'
        "\n"
        "*first_term (may be NULL), in the order of layers. After an error none was added."
    ),
    "kd_loss_keep_outputs": (
        c_int32, [c_void_p, c_void_p, c_void_p],
        "Asks for the outputs that the terms name (kd_model_keep); either may be NULL.\n"
        "- The student keeps them in evaluating passes as well.\n"
        "- A teacher from a model, or such members of an ensemble, keep those and no others: if no "
        "term\n"
        '  wants logits or "hidden", its passes stop at the highest layer named. For more, call\n'
        "  kd_model_keep after it.\n"
        "- Other teachers give what they have.\n"
        "KD_ERR_NOT_FOUND lists the outputs of the model that lacks one."
    ),
    "kd_model_add_head": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "Gives a model one more head: logits of a task, made from one of the model's outputs.\n"
        '- name: letters, digits, \'-\' and \'_\'. The output is "logits.NAME"; the tensors are\n'
        '  "heads.NAME.weight" (num_labels, inputs) and ".bias" (num_labels); before them, where th'
        "e head\n"
        '  has a hidden layer, "heads.NAME.dense.weight" (hidden_size, width) and ".bias".\n'
        "- json: an object with the keys of one head of the config's kd_heads (docs/configs.md), as"
        "\n"
        '  {"num_labels": 6, "level": "sample", "pooling": "cls", "dropout": 0.1}.\n'
        '- The logits are entries of rows (level "row") or samples ("sample"): labels, masks and a'
        "\n"
        "  teacher's logits of the task are of the same unit.\n"
        "- A head is computed when something asks for its logits: a term, kd_model_output,\n"
        "  kd_model_keep. Without that its gradient is 0.\n"
        "- First values: N(0, initializer_range), biases 0, from the model's seed and the head's na"
        "me\n"
        "  alone.\n"
        "- Where all tensors but those of heads are frozen, a backward pass stops at the heads.\n"
        "- Adapters (kd_model_add_lora) are not put on heads, which are trained in full.\n"
        "- The model's config says so from then on: kd_model_save and kd_model_load keep heads, and"
        " other\n"
        "  programs load the folder without them.\n"
        "- Views and optimizers made before become invalid; so do passes.\n"
        "Errors: KD_ERR_CONFIG names what is wrong with the object (an unknown key, a name that is "
        "taken,\n"
        "an output that the model does not have). KD_ERR_STATE: the model is frozen, or a step is o"
        "pen.\n"
        "KD_ERR_UNSUPPORTED: static embeddings. After an error the model is as it was."
    ),
    "kd_pair_options_init": (
        None, [POINTER(kd_pair_options), c_size_t],
        ""
    ),
    "kd_loss_set_pairs": (
        c_int32, [c_void_p, c_int32, POINTER(kd_pair_options)],
        "Says what the other side of a term of kinds 32 to 34, 38, 39 is; once, before the first ca"
        "ll.\n"
        "KD_ERR_INVALID: another kind, no other side, or options that the kind does not have.\n"
        "KD_ERR_STATE: the term has it already."
    ),
    "kd_loss_backward_chunks": (
        c_int32, [
            c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p), c_int32,
            POINTER(kd_loss_counts), POINTER(kd_loss_result),
        ],
        "Value and gradients of a batch that is larger than the memory of its pass: gradient cachin"
        "g [Gao\n"
        "et al. 2021]. `chunks` (count) are batches of their own, `targets` (count) what a teacher "
        "says of\n"
        "each, or NULL. Terms that look at a whole batch (kinds 25 to 34, 38, 39, DIST) see all chu"
        "nks as\n"
        "one; other terms are summed over them. Beside the passes' memory it takes the outputs that"
        " those\n"
        "terms compare, of all chunks, twice.\n"
        "- KD_MODE_REHEARSE gives what a KD_MODE_TRAIN pass will give, with the memory of\n"
        "  KD_MODE_EVALUATE. If parts of a batch are rehearsed and then trained in the same order, "
        "all\n"
        "  these passes draw dropout's numbers of one pass over the whole batch.\n"
        "- Each chunk is rehearsed, the terms are evaluated, and each chunk is passed again with\n"
        "  KD_MODE_TRAIN: no forward pass stands before the call. Value and gradients are those of "
        "one\n"
        "  batch to rounding, dropout included.\n"
        "- counts: the denominators, NULL: the rows of all chunks. Diagnostics of row terms are the"
        " last\n"
        "  chunk's.\n"
        "- KD_ERR_STATE: the gradients are shared or a step is open, which one backward pass ends. "
        "After\n"
        "  an error in a later pass the gradients of model and loss are those of some chunks:\n"
        "  kd_model_zero_gradients, kd_loss_zero_gradients. KD_ERR_UNSUPPORTED: batch norm, and mor"
        "e than\n"
        "  one chunk."
    ),
    "kd_gradient_options_init": (
        None, [POINTER(kd_gradient_options), c_size_t],
        ""
    ),
    "kd_loss_measure_gradients": (
        c_int32, [
            c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_gradient_options), POINTER(c_double),
            POINTER(c_double),
        ],
        "g_i = d (sum over terms of task i of weight * sum / denominator) / d output, on a model af"
        "ter a\n"
        "KD_MODE_TRAIN pass, before the backward pass. The output is that of the trunk under the te"
        "rms'\n"
        'own: a head\'s hidden states, the rows that "pooled", "embedding" or a class\'s logits are'
        " made of.\n"
        "- norms (tasks): |g_i|, over all rows together; 0 where no row of the batch is the task's;"
        " NaN\n"
        "  where no term of the task comes from the output.\n"
        "- cosines (tasks, tasks): g_i . g_j / (|g_i| |g_j|), below 0: what helps one task harms th"
        "e\n"
        "  other; NaN where a norm is 0 or NaN. NULL: not wanted.\n"
        "Nothing else changes: no gradient, no diagnostics, no state. It costs each term's own part"
        " of the\n"
        "loss, a head's or a pooling's way back, and tasks x rows x width numbers: no pass of the t"
        "runk.\n"
        "Errors: those of kd_loss_backward; KD_ERR_INVALID: without options.output the terms come f"
        "rom\n"
        "several outputs, which are named; KD_ERR_RANGE: a task is out of bounds."
    ),
    "kd_schedule_create_constant": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double],
        "value"
    ),
    "kd_schedule_create_linear": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64],
        "from + (to - from) s,  s = step / steps, at most 1. Also a warm-up: linear(0, 1, steps). s"
        "teps >=\n"
        "1 everywhere."
    ),
    "kd_schedule_create_cosine": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64],
        "to + (from - to) (1 + cos(pi s)) / 2 [Loshchilov and Hutter 2017, eq. 5]"
    ),
    "kd_schedule_create_exponential": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64],
        "from (to / from)^s; both positive"
    ),
    "kd_schedule_create_polynomial": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64, c_double],
        "to + (from - to) (1 - s)^power; power > 0"
    ),
    "kd_schedule_create_step": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64],
        "value * factor^floor(step / every); every >= 1, factor > 0"
    ),
    "kd_schedule_create_inverse_sqrt": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_int64],
        "value * min((step + 1) / warmup, sqrt(warmup / (step + 1))); warmup >= 1 [Vaswani et al. 2"
        "017,\n"
        "5.3]"
    ),
    "kd_schedule_create_wsd": (
        c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64, c_int64, c_int64],
        "warm-up, stable, decay: linear from 0 to value in `warmup` steps, value for `stable`, line"
        "ar to\n"
        "`floor` in `decay` steps [MiniCPM 2024]"
    ),
    "kd_schedule_create_piecewise": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_int64), POINTER(c_double), c_int32],
        "Straight lines through the points (steps[i], values[i]), steps increasing; count 1 to 4096"
        ".\n"
        "Copied."
    ),
    "kd_schedule_create_product": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_int32],
        "The product of the parts, for example cosine times plateau. Keeps them alive; count 1 to 1"
        "6."
    ),
    "kd_schedule_create_sequence": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_void_p), POINTER(c_int64), c_int32],
        "parts[i] starting at starts[i], with steps counted from there; starts[0] = 0, increasing. "
        "Keeps\n"
        "the parts alive."
    ),
    "kd_plateau_options_init": (
        None, [POINTER(kd_plateau_options), c_size_t],
        ""
    ),
    "kd_schedule_create_plateau": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_plateau_options)],
        "A value that drops when what the host reports stops improving."
    ),
    "kd_taid_options_init": (
        None, [POINTER(kd_taid_options), c_size_t],
        ""
    ),
    "kd_schedule_create_taid": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_taid_options)],
        "TAID's t for kd_loss_set(.., KD_TERM_PROGRESS, ..): it rises faster while the loss falls. "
        "Report\n"
        "the term's loss once per step [Shing et al. 2025, alg. 1]. Since 0.2.\n"
        "  d = (before - loss) / (before + 1e-15);   m <- beta m + (1 - beta) d;\n"
        "  t <- min(to, max(linear, t + alpha sigmoid(m) (1 - t)))\n"
        "The first report only sets `before`. State: t, m, the previous loss, and the number of\n"
        "reports."
    ),
    "kd_schedule_free": (
        None, [c_void_p],
        "TAID's t for kd_loss_set(.., KD_TERM_PROGRESS, ..): it rises faster while the loss falls. "
        "Report\n"
        "the term's loss once per step [Shing et al. 2025, alg. 1]. Since 0.2.\n"
        "  d = (before - loss) / (before + 1e-15);   m <- beta m + (1 - beta) d;\n"
        "  t <- min(to, max(linear, t + alpha sigmoid(m) (1 - t)))\n"
        "The first report only sets `before`. State: t, m, the previous loss, and the number of\n"
        "reports."
    ),
    "kd_schedule_value": (
        c_double, [c_void_p, c_int64],
        "The value at a step; NaN for a NULL handle."
    ),
    "kd_schedule_report": (
        c_int32, [c_void_p, c_double],
        "Passes a metric to every plateau and TAID schedule inside; other schedules ignore it.\n"
        "KD_ERR_NONFINITE for NaN and infinity."
    ),
    "kd_schedule_get_state": (
        c_int32, [c_void_p, POINTER(c_double), POINTER(c_int32)],
        "The state as numbers, for hosts with their own checkpoints: *count in: capacity, out: numb"
        "ers\n"
        "needed; values NULL: only ask."
    ),
    "kd_schedule_set_state": (
        c_int32, [c_void_p, POINTER(c_double), c_int32],
        "The state as numbers, for hosts with their own checkpoints: *count in: capacity, out: numb"
        "ers\n"
        "needed; values NULL: only ask."
    ),
    "kd_balance_options_init": (
        None, [POINTER(kd_balance_options), c_size_t],
        ""
    ),
    "kd_balance_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_int32, c_int32, POINTER(kd_balance_options)],
        "For `tasks` tasks, 1 to 1024. Nothing is allocated later. KD_ERR_RANGE: kind, tasks or a n"
        "umber\n"
        "of the options is out of bounds."
    ),
    "kd_balance_free": (
        None, [c_void_p],
        "For `tasks` tasks, 1 to 1024. Nothing is allocated later. KD_ERR_RANGE: kind, tasks or a n"
        "umber\n"
        "of the options is out of bounds."
    ),
    "kd_balance_report": (
        c_int32, [c_void_p, c_int32, c_double],
        "A task's loss, the mean over its rows; a batch without rows of the task is not reported.\n"
        "KD_ERR_RANGE: no such task, above 1e100, or below 0 (STATIC takes any sign).\n"
        "KD_ERR_NONFINITE: NaN or infinity."
    ),
    "kd_balance_end_epoch": (
        c_int32, [c_void_p],
        "The reports since the last call were one epoch: its means are DWA's. A task without any ke"
        "eps\n"
        "the two means that it has."
    ),
    "kd_balance_value": (
        c_double, [c_void_p, c_int32],
        "The weight of a task; NaN for a NULL handle or no such task. It is c_i until every task of"
        " a\n"
        "weight above 0 has a report (MEAN) or two epochs (DWA)."
    ),
    "kd_optimizer_options_init": (
        None, [POINTER(kd_optimizer_options), c_size_t],
        ""
    ),
    "kd_optimizer_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_int32, POINTER(kd_optimizer_options)],
        ""
    ),
    "kd_optimizer_free": (
        None, [c_void_p],
        ""
    ),
    "kd_optimizer_add_model": (
        c_int32, [c_void_p, c_void_p],
        "Adds a source of parameters: a model (kept alive), or one named array of the host with its"
        "\n"
        "gradient, float32 and contiguous, borrowed until the optimizer is freed. Add all sources b"
        "efore\n"
        "the first step."
    ),
    "kd_optimizer_borrow_array": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)],
        "Adds a source of parameters: a model (kept alive), or one named array of the host with its"
        "\n"
        "gradient, float32 and contiguous, borrowed until the optimizer is freed. Add all sources b"
        "efore\n"
        "the first step."
    ),
    "kd_optimizer_add_loss": (
        c_int32, [c_void_p, c_void_p],
        "The parameters of a loss (kept alive): its projections and variances, which may be none.\n"
        "KD_ERR_STATE: a width is still open. From now on the loss takes no further ones. Since 0.2"
        "."
    ),
    "kd_group_options_init": (
        None, [POINTER(kd_group_options), c_size_t],
        ""
    ),
    "kd_optimizer_add_group": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_group_options)],
        'From now on, parameters whose name matches the pattern (* and ?, for example "*.bias") use'
        " these\n"
        "numbers; the last matching group wins. KD_ERR_NOT_FOUND: nothing matches.\n"
        "- `lazy` is for tables of embeddings, of which a batch touches a few rows: a row that no g"
        "radient\n"
        "  reaches stays unchanged, as with torch.optim.SparseAdam. Bias is corrected by the number"
        " of\n"
        "  steps. A step where every row has a gradient is that of a group without `lazy`.\n"
        '- A static embedding (model_type "static_embedding") tells which rows its passes reach, an'
        "d a\n"
        "  step looks at nothing else; of other parameters it reads all gradients. A host that take"
        "s views\n"
        "  of the gradients may write anywhere: from then on a step reads all of them.\n"
        "- max_norm and average_decay still go through all rows."
    ),
    "kd_optimizer_step": (
        c_int32, [c_void_p, c_double],
        "One step with this learning rate (>= 0, finite). Returns KD_OK even if the step was skippe"
        "d: see\n"
        "kd_optimizer_info. KD_ERR_STATE: no backward pass before it although one is required: afte"
        "r\n"
        "kd_optimizer_begin_step, and for models with shared_gradients."
    ),
    "kd_optimizer_begin_step": (
        c_int32, [c_void_p, c_double],
        "Begins a step before the backward pass: the pass then updates each layer of a language mod"
        "el as\n"
        "soon as its gradient is complete, while it is in cache. kd_optimizer_step, with the same l"
        "earning\n"
        "rate, does the rest. The bits are those of a step after the pass. Since 0.2.\n"
        "- What depends on all gradients together is not available: clip_norm must be 0, and a sing"
        "le pass\n"
        "  makes the gradient (no accumulation).\n"
        "- A non-finite gradient leaves its layer, and all layers updated later, unchanged; layers "
        "updated\n"
        "  before it stay updated. The step counts as skipped.\n"
        "- If the pass fails (a callback stops it, out of memory), the layers after that point are "
        "already\n"
        "  updated. Begin again, or save a checkpoint of that state.\n"
        "- Until the step ends, the optimizer's numbers cannot change, and the model accepts no ada"
        "pters\n"
        "  and no other vocabulary. After the pass, checkpoints are refused until the step ends.\n"
        "- KD_ERR_STATE: clip_norm, pending gradients, averaged weights swapped in, or a model whos"
        "e step\n"
        "  another optimizer has begun."
    ),
    "kd_optimizer_set": (
        c_int32, [c_void_p, c_int32, c_double],
        "0 .. 1; only if it was above 0 at creation"
    ),
    "kd_optimizer_get": (
        c_int32, [c_void_p, c_int32, POINTER(c_double)],
        "0 .. 1; only if it was above 0 at creation"
    ),
    "kd_optimizer_bounds": (
        c_int32, [c_int32, POINTER(c_double), POINTER(c_double)],
        "0 .. 1; only if it was above 0 at creation"
    ),
    "kd_optimizer_get_info": (
        c_int32, [c_void_p, POINTER(kd_optimizer_info)],
        ""
    ),
    "kd_optimizer_swap_average": (
        c_int32, [c_void_p],
        "Swaps parameters and averaged weights, for an evaluation; call it again before training\n"
        "continues. KD_ERR_STATE without averaging; a step between the two calls is refused."
    ),
    "kd_exchange_options_init": (
        None, [POINTER(kd_exchange_options), c_size_t],
        ""
    ),
    "kd_exchange_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_transport), POINTER(kd_exchange_options)],
        "Copies `transport`; kd_exchange_free calls its `destroy`, and so does nobody if this call "
        "fails.\n"
        "NULL: this process alone, one rank of one."
    ),
    "kd_exchange_free": (
        None, [c_void_p],
        "Waits for nobody. An optimizer of which this rank has a part of the state takes no steps\n"
        "afterward."
    ),
    "kd_exchange_add_optimizer": (
        c_int32, [c_void_p, c_void_p],
        "All ranks: the optimizer whose steps this exchange takes, with all its sources and groups,"
        " which\n"
        "cannot change any more; kept alive. An exchange has one optimizer, an optimizer one exchan"
        "ge.\n"
        "Before anything is changed the ranks compare the library's version, the exchange's options"
        ", the\n"
        "optimizer's kind, options and state, the names, sizes and groups of parameters, seeds of m"
        "odels,\n"
        "and, unless `spread` is 1, the values.\n"
        "- KD_ERR_MISMATCH: they differ; the message names what, and the first rank that has it oth"
        "erwise\n"
        "  than rank 0.\n"
        "- KD_ERR_UNSUPPORTED: batch normalization, shared_gradients, or moments in bfloat16.\n"
        "  docs/scale.md says why."
    ),
    "kd_exchange_sum_counts": (
        c_int32, [c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(c_int64)],
        "All ranks, once before each step. Replaces a rank's counts, of all its batches of the step"
        ", by\n"
        "the sums over ranks: denominators for kd_loss_backward.\n"
        "- batch: this rank's. Its rows take the random numbers (dropout) that they would have in o"
        "ne\n"
        "  batch of all ranks' samples. NULL: several batches make the step, or there is none; a ra"
        "nk's\n"
        "  random numbers are then its own.\n"
        "- samples: of all ranks' batches; where batch is NULL, a rank with rows in its counts coun"
        "ts as\n"
        "  one. 0: no rank has any, and no step is open: all ranks may end their loop here, also wh"
        "ere\n"
        "  their data are of different lengths. NULL: not wanted."
    ),
    "kd_exchange_begin": (
        c_int32, [c_void_p],
        "The next backward pass of each model is the last of this step: gradients leave while it ru"
        "ns,\n"
        "layer by layer where the kind of model tells (language models). Optional; without it they "
        "leave\n"
        "in kd_exchange_step, in the same bits. KD_ERR_STATE: no kd_exchange_sum_counts."
    ),
    "kd_exchange_set_learning_rate": (
        c_int32, [c_void_p, c_double],
        "Before kd_exchange_sum_counts: the learning rate that the coming kd_exchange_step will be "
        "given\n"
        "(another is KD_ERR_INVALID there). Where all ranks have set it, and there is neither clip_"
        "norm\n"
        "nor max_norm, parameters go back to the ranks while gradients still travel, within the bac"
        "kward\n"
        "pass after kd_exchange_begin: the same bits, less to wait for. Optional, and for one step."
        " With\n"
        "shard 0 it need not be set. The optimizer's numbers and what is frozen then change before"
        "\n"
        "kd_exchange_sum_counts, not within a step."
    ),
    "kd_exchange_step": (
        c_int32, [c_void_p, c_double],
        "All ranks: sums the gradients, clips by the norm over all parameters, updates, and returns"
        " when\n"
        "this rank has all parameters. The optimizer's info tells steps, norm, and whether it was s"
        "kipped:\n"
        "where one rank has a gradient that is not finite, all skip.\n"
        "After an error nothing is updated, on any rank, and the gradients count as zero."
    ),
    "kd_exchange_fail": (
        c_int32, [c_void_p, c_int32],
        "All ranks, instead of this one's next call: this rank cannot go on, because a call returne"
        "d\n"
        "`status` (not KD_OK). The other ranks' next call, or the step that they are in, returns\n"
        "KD_ERR_PEER with this rank's number and the message of kd_last_error. Returns KD_OK when t"
        "hey\n"
        "heard it. Afterward all may continue with the next step, or end."
    ),
    "kd_exchange_sum": (
        c_int32, [c_void_p, POINTER(c_double), c_int64],
        "All ranks, between steps: values[i] becomes the sum over ranks, in rank order. At most 128"
        "\n"
        "values: a loss of a step, sums for a metric."
    ),
    "kd_exchange_compare": (
        c_int32, [c_void_p],
        "All ranks, between steps. KD_ERR_MISMATCH names the first parameter, or these bytes by the"
        "ir\n"
        "name, and the first rank whose bits are not rank 0's. For what the ranks must have in comm"
        "on: a\n"
        "tokenizer's hash, keys of a dataset."
    ),
    "kd_exchange_compare_bytes": (
        c_int32, [c_void_p, c_char_p, c_void_p, c_size_t],
        "All ranks, between steps. KD_ERR_MISMATCH names the first parameter, or these bytes by the"
        "ir\n"
        "name, and the first rank whose bits are not rank 0's. For what the ranks must have in comm"
        "on: a\n"
        "tokenizer's hash, keys of a dataset."
    ),
    "kd_exchange_swap_average": (
        c_int32, [c_void_p],
        "All ranks, between steps: kd_optimizer_swap_average for an optimizer whose ranks keep piec"
        "es of\n"
        "the average."
    ),
    "kd_exchange_get_info": (
        c_int32, [c_void_p, POINTER(kd_exchange_info)],
        ""
    ),
    "kd_monitor_options_init": (
        None, [POINTER(kd_monitor_options), c_size_t],
        ""
    ),
    "kd_monitor_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_monitor_options)],
        "Watches one metric of one model."
    ),
    "kd_monitor_free": (
        None, [c_void_p],
        "Watches one metric of one model."
    ),
    "kd_monitor_report": (
        c_int32, [c_void_p, c_double, POINTER(c_int32)],
        "Takes a metric; NaN and infinity never improve. *verdict (may be NULL): bits."
    ),
    "kd_monitor_best": (
        c_int32, [c_void_p, POINTER(c_double), POINTER(c_int64)],
        "The best metric and the report (from 0) that had it. KD_ERR_STATE before the first\n"
        "improvement."
    ),
    "kd_monitor_restore": (
        c_int32, [c_void_p],
        "Copies the best parameters back into the model. KD_ERR_STATE without keep_best, or before "
        "the\n"
        "first improvement."
    ),
    "kd_checkpoint_options_init": (
        None, [POINTER(kd_checkpoint_options), c_size_t],
        ""
    ),
    "kd_checkpoint_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_checkpoint_options)],
        ""
    ),
    "kd_checkpoint_free": (
        None, [c_void_p],
        ""
    ),
    "kd_checkpoint_add_model": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Registers a part under a name that no other part has, and keeps the handle alive. Bytes be"
        "long to\n"
        "the host (a step counter and the like) and are borrowed until the checkpoint is freed."
    ),
    "kd_checkpoint_add_optimizer": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Registers a part under a name that no other part has, and keeps the handle alive. Bytes be"
        "long to\n"
        "the host (a step counter and the like) and are borrowed until the checkpoint is freed."
    ),
    "kd_checkpoint_add_loader": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Registers a part under a name that no other part has, and keeps the handle alive. Bytes be"
        "long to\n"
        "the host (a step counter and the like) and are borrowed until the checkpoint is freed."
    ),
    "kd_checkpoint_add_schedule": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Registers a part under a name that no other part has, and keeps the handle alive. Bytes be"
        "long to\n"
        "the host (a step counter and the like) and are borrowed until the checkpoint is freed."
    ),
    "kd_checkpoint_add_loss": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Registers a part under a name that no other part has, and keeps the handle alive. Bytes be"
        "long to\n"
        "the host (a step counter and the like) and are borrowed until the checkpoint is freed."
    ),
    "kd_checkpoint_add_monitor": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Registers a part under a name that no other part has, and keeps the handle alive. Bytes be"
        "long to\n"
        "the host (a step counter and the like) and are borrowed until the checkpoint is freed."
    ),
    "kd_checkpoint_add_balance": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "Since 0.2."
    ),
    "kd_checkpoint_add_exchange": (
        c_int32, [c_void_p, c_char_p, c_void_p],
        "A run of several ranks: the exchange takes the place of its optimizer (of which each rank "
        "has a\n"
        "part of the state). Saving and loading are then calls of all ranks, `path` a folder that a"
        "ll see,\n"
        "and `sync` is 1 for the manifest and the states of ranks:\n"
        "  PATH/save-0000012/common.kdc                            rank 0's parts\n"
        "  PATH/save-0000012/state-00001-of-00004.safetensors      of each rank: its ranges of mome"
        "nts\n"
        "  PATH/save-0000012/manifest.json                         last: sizes and checksums of the"
        " files\n"
        "- A run is loaded by as many ranks as saved it, in the same bits, or by others.\n"
        "- Loading takes the newest save that has a manifest; KD_ERR_NOT_FOUND: there is none. If a"
        " file\n"
        "  of it is damaged, KD_ERR_FORMAT names it and nothing changes: remove that save to load t"
        "he one\n"
        "  before.\n"
        "- The newest save and the one before it are kept.\n"
        "- Other parts must be the same on all ranks; a loader's place becomes each rank's own. Sin"
        "ce\n"
        "  0.2."
    ),
    "kd_checkpoint_borrow_bytes": (
        c_int32, [c_void_p, c_char_p, c_void_p, c_size_t],
        "A run of several ranks: the exchange takes the place of its optimizer (of which each rank "
        "has a\n"
        "part of the state). Saving and loading are then calls of all ranks, `path` a folder that a"
        "ll see,\n"
        "and `sync` is 1 for the manifest and the states of ranks:\n"
        "  PATH/save-0000012/common.kdc                            rank 0's parts\n"
        "  PATH/save-0000012/state-00001-of-00004.safetensors      of each rank: its ranges of mome"
        "nts\n"
        "  PATH/save-0000012/manifest.json                         last: sizes and checksums of the"
        " files\n"
        "- A run is loaded by as many ranks as saved it, in the same bits, or by others.\n"
        "- Loading takes the newest save that has a manifest; KD_ERR_NOT_FOUND: there is none. If a"
        " file\n"
        "  of it is damaged, KD_ERR_FORMAT names it and nothing changes: remove that save to load t"
        "he one\n"
        "  before.\n"
        "- The newest save and the one before it are kept.\n"
        "- Other parts must be the same on all ranks; a loader's place becomes each rank's own. Sin"
        "ce\n"
        "  0.2."
    ),
    "kd_checkpoint_save": (
        c_int32, [c_void_p, c_char_p],
        "Writes all parts to a temporary file and renames it to `path`: the old file stays until th"
        "e new\n"
        "one is complete."
    ),
    "kd_checkpoint_load": (
        c_int32, [c_void_p, c_char_p],
        "Reads all parts. The whole file is checked first; nothing changes if it is damaged or does"
        " not\n"
        "match. Errors:\n"
        "- KD_ERR_NOT_FOUND: no file.\n"
        "- KD_ERR_FORMAT: damaged.\n"
        "- KD_ERR_VERSION: written by a newer version.\n"
        "- KD_ERR_MISMATCH: belongs to another run."
    ),
    "kd_metrics_options_init": (
        None, [POINTER(kd_metrics_options), c_size_t],
        ""
    ),
    "kd_metrics_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_int64, POINTER(kd_metrics_options)],
        "An empty collection for predictions over `classes` classes (2 to 1,000,000)."
    ),
    "kd_metrics_free": (
        None, [c_void_p],
        "An empty collection for predictions over `classes` classes (2 to 1,000,000)."
    ),
    "kd_metrics_add": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)],
        "Adds predictions: logits (rows, classes) float32, labels (rows) integer, and the teacher's"
        " logits\n"
        "of the same shape, or NULL."
    ),
    "kd_metrics_reset": (
        c_int32, [c_void_p],
        "Adds predictions: logits (rows, classes) float32, labels (rows) integer, and the teacher's"
        " logits\n"
        "of the same shape, or NULL."
    ),
    "kd_metrics_get": (
        c_int32, [c_void_p, c_int32, POINTER(kd_metric)],
        "One metric of everything added. KD_ERR_STATE: nothing was added, or there was no teacher a"
        "lthough\n"
        "the metric needs one."
    ),
    "kd_metrics_confusion": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "Counts (classes, classes) int64: one row per label, one column per prediction. Valid until"
        " the\n"
        "next add, reset or free."
    ),
    "kd_metrics_mean": (
        c_int32, [POINTER(c_double), c_int32, POINTER(c_double), POINTER(c_double)],
        "Mean and standard error (n - 1) over repeated runs; count >= 1. The error of a single run "
        "is\n"
        "NaN."
    ),
    "kd_metrics_correlation": (
        c_int32, [
            c_void_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64, POINTER(c_double),
        ],
        "How two arrays of `count` values go together, -1 to 1; NaN if all values of one are equal."
        "\n"
        "KD_ERR_RANGE: count is below 2. KD_ERR_NONFINITE names a value that is NaN or infinite."
    ),
    "kd_metrics_measure_correlation": (
        c_int32, [
            c_void_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64, POINTER(kd_metric),
        ],
        "The same with its error and 95 % interval, which are approximate and NaN for 3 values or f"
        "ewer:\n"
        "- value r; rows: count; z = atanh r is about normal [Fisher 1915]\n"
        "- standard_error of z: 1 / sqrt(n - 3); of ranks sqrt((1 + r^2 / 2) / (n - 3))\n"
        "  [Bonett and Wright 2000]; that of r is (1 - r^2) times it\n"
        "- low, high: tanh(z -+ 1.96 standard errors of z). Since 0.2"
    ),
    "kd_metrics_measure_retrieval": (
        c_int32, [
            c_void_p, c_int32, c_int32, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
            POINTER(kd_array), POINTER(kd_metric),
        ],
        "One number over queries (n, width) and candidates (m, width), floats of any size. Groups ("
        "n) and\n"
        "(m) are integers, equal ones belong together; both NULL: query i with candidate i. Queries"
        "\n"
        "without a candidate of their group are left out, except by VOTE. Of equal cosines, candida"
        "tes of\n"
        "other groups come first, so that a collapse finds nothing. If both arrays are the same mem"
        "ory, a\n"
        "row is not among its candidates. Common names of its calls:\n"
        "- translation accuracy: RECALL, k 1, no groups; the other way with the arrays exchanged;\n"
        "- k-nearest-neighbor accuracy: VOTE, groups are labels, candidates are the training rows;"
        "\n"
        "- zero-shot accuracy: RECALL, k 1, candidates are the classes' texts, groups the classes."
        "\n"
        "metric: as kd_metrics_get's; errors of MRR and NDCG are those of a mean. KD_ERR_SHAPE: unl"
        "ike\n"
        "widths or lengths; KD_ERR_RANGE: kind, k below 1, or no query has a candidate of its group"
        ";\n"
        "KD_ERR_NONFINITE: a row has NaN, infinity, or nothing but zeros."
    ),
    "kd_model_measure_latency": (
        c_int32, [c_void_p, c_int32, c_double, POINTER(kd_latency)],
        "Times KD_MODE_EVALUATE forward passes on zeros: a warm-up, then passes for about `seconds`"
        " (at\n"
        "least 5, at most 100,000)."
    ),
    "kd_store_field_init": (
        None, [POINTER(kd_store_field), c_size_t],
        ""
    ),
    "kd_store_options_init": (
        None, [POINTER(kd_store_options), c_size_t],
        ""
    ),
    "kd_store_key": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(c_uint64), POINTER(c_uint64)],
        "A key for the host's own samples: MurmurHash3_x64_128 with seed 0 of tokens (integers, has"
        "hed as\n"
        "little-endian uint32) or bytes (uint8), of the whole sample, before it is truncated for tr"
        "aining.\n"
        "See kdistill/data.h."
    ),
    "kd_store_writer_create": (
        c_int32, [
            POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_store_options),
            POINTER(kd_store_field), c_int32,
        ],
        "Creates or continues a store. A torn tail is cut off and logged.\n"
        "- KD_ERR_STATE: it is open for writing elsewhere, or it exists and append is 0.\n"
        "- KD_ERR_MISMATCH: the existing header differs (the message says how)."
    ),
    "kd_store_writer_set_head": (
        c_int32, [c_void_p, POINTER(kd_array), c_int32],
        "The head that turns the field of kind KD_STORE_HIDDEN into logits: (vocabulary, width), st"
        "ored\n"
        "once as `encoding` (KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16). Call it before the first recor"
        "d."
    ),
    "kd_store_writer_add": (
        c_int32, [c_void_p, c_void_p, c_void_p],
        "Writes one record per sample of the batch, under its key and view, from the targets; commi"
        "tted\n"
        "when the call returns. If it fails, the samples before the failing one are committed.\n"
        "- Packed batches get their keys from kd_batch_set_samples; a key of 0 is rejected.\n"
        '- The batch\'s field "position" counts as in reading, and rises by one within a sample.\n'
        "- Rows at either end of a sample that are absent in all fields are left out; a sample of w"
        "hich\n"
        "  nothing is there gets no record.\n"
        "- An embedding is a field of samples of the targets (kd_targets_set_per_sample).\n"
        '- The field "tokens" gives the record its checksums.\n'
        "- KD_ERR_NOT_FOUND: the targets lack a field's rows.\n"
        "- KD_ERR_SHAPE: a field of samples where rows are stored, or vice versa.\n"
        "- KD_ERR_RANGE, KD_ERR_NONFINITE: a number that its encoding cannot hold (float16 below 65"
        "520,\n"
        "  quantized rows at most 1e18).\n"
        "- KD_ERR_MISMATCH: another tokenizer than the store's."
    ),
    "kd_store_writer_begin": (
        c_int32, [c_void_p, c_uint64, c_uint64, c_int64, c_int64, c_int64],
        "Piece by piece: begin, put every field, commit. `first` is the sample's position of row 0."
    ),
    "kd_store_writer_put": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "Piece by piece: begin, put every field, commit. `first` is the sample's position of row 0."
    ),
    "kd_store_writer_put_sparse": (
        c_int32, [c_void_p, c_char_p, c_void_p, c_char_p, c_int64],
        "Rows from first_row on of a sparse field of the targets."
    ),
    "kd_store_writer_put_text": (
        c_int32, [c_void_p, c_char_p, c_char_p, c_int64],
        "Rows from first_row on of a sparse field of the targets."
    ),
    "kd_store_writer_put_tokens": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "The tokens of the whole sample (integers, before truncation). Only checksums are kept: the"
        "y let a\n"
        "reader check that its batch has the same tokens. kd_store_writer_add takes them from the b"
        "atch's\n"
        'field "tokens". At most once per record.'
    ),
    "kd_store_writer_commit": (
        c_int32, [c_void_p],
        "The tokens of the whole sample (integers, before truncation). Only checksums are kept: the"
        "y let a\n"
        "reader check that its batch has the same tokens. kd_store_writer_add takes them from the b"
        "atch's\n"
        'field "tokens". At most once per record.'
    ),
    "kd_store_writer_close": (
        c_int32, [c_void_p],
        "Writes the index that makes opening fast, and closes. kd_store_writer_free without it lose"
        "s only\n"
        "the index."
    ),
    "kd_store_writer_free": (
        None, [c_void_p],
        "Writes the index that makes opening fast, and closes. kd_store_writer_free without it lose"
        "s only\n"
        "the index."
    ),
    "kd_store_open_options_init": (
        None, [POINTER(kd_store_open_options), c_size_t],
        ""
    ),
    "kd_store_open": (
        c_int32, [
            POINTER(c_void_p), c_void_p, POINTER(c_char_p), c_int32, POINTER(kd_store_open_options),
        ],
        "Opens files or folders of shards as one store.\n"
        "- KD_ERR_MISMATCH: they differ (fields, vocabulary, temperature, alignment, hashes if both"
        " have\n"
        "  them); the message says how.\n"
        "- KD_ERR_FORMAT: not a store, or shards and manifest do not match."
    ),
    "kd_store_free": (
        None, [c_void_p],
        "Opens files or folders of shards as one store.\n"
        "- KD_ERR_MISMATCH: they differ (fields, vocabulary, temperature, alignment, hashes if both"
        " have\n"
        "  them); the message says how.\n"
        "- KD_ERR_FORMAT: not a store, or shards and manifest do not match."
    ),
    "kd_store_get_info": (
        c_int32, [c_void_p, POINTER(kd_store_info)],
        ""
    ),
    "kd_store_header": (
        c_int32, [c_void_p, POINTER(c_char_p)],
        "The header of the first shard as JSON text; valid while the store lives."
    ),
    "kd_store_get_record": (
        c_int32, [c_void_p, c_int64, POINTER(kd_store_record)],
        ""
    ),
    "kd_store_find": (
        c_int32, [c_void_p, c_uint64, c_uint64, c_int64, POINTER(c_int64)],
        "KD_ERR_NOT_FOUND: no such record."
    ),
    "kd_store_read": (
        c_int32, [c_void_p, c_int64, c_void_p],
        "Reads all of a record into targets, replacing their contents: one row per position, one sa"
        "mple.\n"
        "The calls below read text, score and seed. KD_ERR_FORMAT names the record whose checksum i"
        "s\n"
        "wrong."
    ),
    "kd_store_text": (
        c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_char_p), POINTER(c_int64)],
        "The value of a field of kind text (valid while the store lives, or with pread until the ne"
        "xt\n"
        "call), score or seed."
    ),
    "kd_store_number": (
        c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_double), POINTER(c_uint64)],
        "The value of a field of kind text (valid while the store lives, or with pread until the ne"
        "xt\n"
        "call), score or seed."
    ),
    "kd_store_head": (
        c_int32, [c_void_p, c_int32, POINTER(kd_array)],
        "The head as (vocabulary, width) float32: `rotated` 1: as hidden states are read; 0: as it "
        "was\n"
        "given. Valid while the store lives."
    ),
    "kd_store_unrotate": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "Undoes the rotation of hidden states read from a store, overwriting them: (rows, width)\n"
        "float32."
    ),
    "kd_store_field_bytes": (
        c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_int64)],
        "Bytes that a field takes in a record, for statistics."
    ),
    "kd_store_refresh": (
        c_int32, [c_void_p, POINTER(c_int64)],
        "Picks up what writers have committed since, and shards that the folders' manifests name by"
        " now.\n"
        "*added may be NULL."
    ),
    "kd_store_verify": (
        c_int32, [c_void_p, POINTER(c_int64)],
        "Reads and checks every byte; *bad is the number of damaged records, and the message names "
        "the\n"
        "first."
    ),
    "kd_store_adopt": (
        c_int32, [c_void_p, c_char_p, POINTER(c_int64)],
        "Names in the folder's manifest every shard that has records and that it does not name: fil"
        "es that\n"
        "were copied in, or written where files have no locks. Nothing is rewritten. *added (may be"
        " NULL):\n"
        "how many. Files that cannot be read as a store are left alone. Since 0.2."
    ),
    "kd_store_compact": (
        c_int32, [c_void_p, c_char_p],
        "Copies the last record of every key and view into one new file: merges shards and drops re"
        "placed\n"
        "records."
    ),
    "kd_teacher_from_store": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_options)],
        'A teacher backed by a store: looked up by key and view. A batch\'s field "position" ((rows'
        ") int64)\n"
        "is each row's position in its sample; without it, a sample's rows begin at position 0.\n"
        "- Positions that were absent when the record was made are absent. Those at or beyond the e"
        "nd of\n"
        "  its sample are KD_ERR_NOT_FOUND (absent with KD_MISSING_ABSENT).\n"
        "- KD_ERR_MISMATCH: the batch's tokens are not the record's; names the key, the position an"
        "d both\n"
        "  makers.\n"
        "- Records without checksums (older stores, pieces without kd_store_writer_put_tokens) are "
        "read\n"
        "  unchecked, with one warning."
    ),
    "kd_teacher_open": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_teacher_options)],
        "The same in one call: opens path (a file or a folder)."
    ),
    "kd_tokenizer_load": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p],
        "Loads a folder with tokenizer.json (or .gz), such a file, or a GGUF file. A folder's chat"
        "\n"
        "template comes from chat_template.jinja, additional_chat_templates/, tokenizer_config.json"
        " or\n"
        "chat_template.json."
    ),
    "kd_tokenizer_free": (
        None, [c_void_p],
        "Loads a folder with tokenizer.json (or .gz), such a file, or a GGUF file. A folder's chat"
        "\n"
        "template comes from chat_template.jinja, additional_chat_templates/, tokenizer_config.json"
        " or\n"
        "chat_template.json."
    ),
    "kd_tokenizer_encode": (
        c_int32, [
            c_void_p, c_char_p, c_int64, c_int32, POINTER(c_int32), c_int64, POINTER(c_int64),
        ],
        "Token ids of `bytes` bytes of text (-1: up to its 0). *count is their number; they are wri"
        "tten if\n"
        "`capacity` suffices. ids NULL: only count. Added tokens are recognized anywhere in the tex"
        "t.\n"
        "KD_ERR_RANGE: capacity is too small (*count is set)."
    ),
    "kd_tokenizer_encode_ends": (
        c_int32, [
            c_void_p, c_char_p, c_int64, c_int32, POINTER(c_int32), POINTER(c_int64), c_int64,
            POINTER(c_int64),
        ],
        "kd_tokenizer_encode, plus where each token ends in bytes of the text: (capacity) ends, nev"
        "er\n"
        "decreasing, from 0, for kd_align_find_chunks. ends may be NULL.\n"
        "- A token that is part of a character ends at its own last byte.\n"
        "- If the normalizer changes characters, a token ends where the last character that went in"
        "to it\n"
        "  ends in the original text.\n"
        "- What the tokenizer inserts (a leading space, KD_TOKENIZER_ADD_SPECIAL), and a token that"
        "\n"
        "  overlaps an earlier one, ends where the text before it does.\n"
        "- White space that an added token absorbs belongs to the token.\n"
        "- The package's offsets differ for insertions, parts of characters (they end with the char"
        "acter),\n"
        "  characters that a normalizer joins or reorders, and after unknown characters without an "
        "unknown\n"
        "  token, which they do not count."
    ),
    "kd_tokenizer_encode_pair": (
        c_int32, [
            c_void_p, c_char_p, c_int64, c_char_p, c_int64, c_int32, POINTER(c_int32),
            POINTER(c_int32), c_int64, POINTER(c_int64),
        ],
        "A pair of texts as the file's post-processor joins them, ([CLS] a [SEP] b [SEP] for BERT),"
        " with\n"
        "the type (also called segment) of each token: (capacity) ids and types, each may be NULL."
        "\n"
        "`second` NULL: one text, with its types.\n"
        "- flags: KD_TOKENIZER_ADD_SPECIAL; without it the texts and their types alone. The types a"
        "re the\n"
        "  file's: 0 and 1 for BERT, 0 alone for RoBERTa, 0 and 1 where it has no post-processor.\n"
        "- KD_ERR_UNSUPPORTED: the file's template does not have both texts once.\n"
        "- KD_ERR_RANGE: capacity is too small (*count is set)."
    ),
    "kd_tokenizer_decode": (
        c_int32, [
            c_void_p, POINTER(c_int32), c_int64, c_int32, c_char_p, c_int64, POINTER(c_int64),
        ],
        "The text of ids, with a terminating 0. *bytes is its length without the 0; `capacity` coun"
        "ts the\n"
        "0.\n"
        "- text NULL: only count.\n"
        "- What is not UTF-8 becomes U+FFFD.\n"
        "- Ids without a token are left out.\n"
        "- KD_ERR_RANGE: negative ids, or capacity is too small."
    ),
    "kd_tokenizer_vocabulary_size": (
        c_int32, [c_void_p, POINTER(c_int64)],
        "The highest id + 1: the rows that an embedding needs."
    ),
    "kd_tokenizer_get_info": (
        c_int32, [c_void_p, POINTER(kd_tokenizer_info)],
        ""
    ),
    "kd_tokenizer_token": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int32)],
        'A token as its file writes it ("\\u0120the" for " the"); lives as long as the tokenizer. f'
        "lags may\n"
        "be NULL. KD_ERR_NOT_FOUND: no token."
    ),
    "kd_tokenizer_token_id": (
        c_int32, [c_void_p, c_char_p, POINTER(c_int32)],
        "Its id. KD_ERR_NOT_FOUND."
    ),
    "kd_tokenizer_token_bytes": (
        c_int32, [c_void_p, c_int32, c_char_p, c_int64, POINTER(c_int64), POINTER(c_int32)],
        'The bytes that a token represents in a text: "\\u0120the" of one file and "\\u2581the" of '
        "another\n"
        'are " the"; "<0x0A>" is a line feed if the file\'s decoder says so. A part of a character '
        "is not\n"
        "UTF-8.\n"
        "- *count is their number; they are written, without a 0, if `capacity` suffices.\n"
        "- bytes NULL: only count. flags may be NULL.\n"
        "- KD_ERR_NOT_FOUND: no token. KD_ERR_RANGE: capacity."
    ),
    "kd_tokenizer_map": (
        c_int32, [c_void_p, c_void_p, POINTER(c_int32), c_int64, POINTER(c_int64)],
        "Which tokens two tokenizers share: map[id] is the id in `other` of the token that represen"
        "ts the\n"
        "same bytes, or -1; (capacity) map, one entry per id of `tokenizer`. *shared (may be NULL):"
        " how\n"
        "many have a partner.\n"
        "- Special tokens are paired only with special tokens of the same text.\n"
        "- One to one: if several tokens of a file represent the same bytes, the first counts, and "
        "single\n"
        '  bytes by number ("<0x41>") come last.'
    ),
    "kd_tokenizer_end_tokens": (
        c_int32, [c_void_p, POINTER(POINTER(c_int32)), POINTER(c_int32)],
        "The ids that end a text, each once, from the files beside tokenizer.json. A text that is w"
        "ritten\n"
        "(by a packer, in a GGUF file) ends with the first; any of them ends a text that is generat"
        "ed.\n"
        '- "eos_token" of tokenizer_config.json and special_tokens_map.json; "eos_token_id" of\n'
        "  generation_config.json (a number or a list), or of config.json if none of these names on"
        "e;\n"
        "- of a GGUF file: the eos, eot and eom tokens;\n"
        "- then what ends an assistant's turn in the folder's chats.\n"
        "*ids lives as long as the tokenizer; *count is 0 if nothing is named. Names and ids that a"
        "re not\n"
        "tokens are ignored. ids may be NULL."
    ),
    "kd_tokenizer_begin_token": (
        c_int32, [c_void_p, POINTER(c_int32)],
        'What begins a text, from "bos_token" and "bos_token_id" of the same files, else what\n'
        "KD_TOKENIZER_ADD_SPECIAL puts first; -1: none."
    ),
    "kd_detokenizer_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_int32],
        "Turns ids into text one by one, in whole characters. flags: KD_TOKENIZER_SKIP_SPECIAL. Kee"
        "ps the\n"
        "tokenizer alive."
    ),
    "kd_detokenizer_free": (
        None, [c_void_p],
        "Turns ids into text one by one, in whole characters. flags: KD_TOKENIZER_SKIP_SPECIAL. Kee"
        "ps the\n"
        "tokenizer alive."
    ),
    "kd_detokenizer_push": (
        c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int64)],
        'Takes an id and returns the text that it completes ("" while a character is incomplete), v'
        "alid\n"
        "until the next call. All pieces, plus that of kd_detokenizer_finish, make the text of\n"
        "kd_tokenizer_decode for all ids. *bytes (may be NULL): its length."
    ),
    "kd_detokenizer_finish": (
        c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_int64)],
        "The rest, as kd_tokenizer_decode would end the text; then starts over."
    ),
    "kd_tokenizer_hash": (
        c_int32, [c_void_p, c_int32, c_char_p],
        "A hash by which a store or a host recognizes a tokenizer: equal for equal content, in any "
        "file.\n"
        "`text`: room for KD_HASH_BYTES. KD_ERR_NOT_FOUND: it has no chat template."
    ),
    "kd_tokenizer_add": (
        c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int32)],
        "Adds a token at the next free id, or finds it: *id. Models get its row from\n"
        "kd_model_resize_vocabulary. KD_TOKENIZER_SKIP_SPECIAL leaves out special tokens.\n"
        "- The next free id follows the last added token or, if larger, is the number of the vocabu"
        "lary's\n"
        "  tokens: as readers of the saved file count.\n"
        "- KD_ERR_UNSUPPORTED: another token has that id, because the vocabulary's ids have gaps."
    ),
    "kd_tokenizer_rename": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "Gives an added token another text; its id stays. KD_ERR_INVALID: the name is taken, or the"
        " token\n"
        "is one of the model's own."
    ),
    "kd_tokenizer_save": (
        c_int32, [c_void_p, c_char_p],
        "Writes tokenizer.json, with all changes, into a folder (created if needed)."
    ),
    "kd_tokenizer_compare": (
        c_int32, [
            c_void_p, c_void_p, POINTER(c_char_p), c_int32, c_int32, POINTER(c_int64),
            POINTER(c_char_p),
        ],
        "Compares two tokenizers, id by id: *differences counts the ids whose token differs or that"
        " only\n"
        "one has.\n"
        "- text (may be NULL): a new list of the first `limit` differences, freed by kd_context_fre"
        "e_text.\n"
        "- allowed (may be NULL): patterns (* and ?); tokens of either that match do not count."
    ),
    "kd_chat_options_init": (
        None, [POINTER(kd_chat_options), c_size_t],
        ""
    ),
    "kd_tokenizer_chat_format": (
        c_int32, [c_void_p, POINTER(c_int32)],
        "The format that renders like the folder's template (determined by rendering some chats wit"
        "h\n"
        "both): KD_CHAT_CHATML ..., or KD_CHAT_AUTO: none of them, or the folder has no template."
    ),
    "kd_chat_render": (
        c_int32, [
            c_void_p, POINTER(kd_message), c_int32, POINTER(kd_chat_options), POINTER(c_char_p),
        ],
        "The text of a chat: a new block, freed by kd_context_free_text. A template sees each turn'"
        "s role,\n"
        "content and members of `extra`, tools, variables, add_generation_prompt and the folder's s"
        "pecial\n"
        "tokens (bos_token ..). KD_ERR_INVALID: the template rejects the chat, with its line;\n"
        "KD_ERR_RANGE: it does more work than a chat can need."
    ),
    "kd_chat_encode": (
        c_int32, [
            c_void_p, POINTER(kd_message), c_int32, POINTER(kd_chat_options), POINTER(c_int32),
            c_void_p, c_int64, POINTER(c_int64),
        ],
        "The ids of a chat, and (capacity) uint8 `answer` (may be NULL), the mask of a loss: 1 for "
        "what\n"
        "the assistant says, its end mark included, in turns that are not skipped. The mask comes f"
        "rom the\n"
        "template's generation blocks, else from rendering parts of the chat; KD_ERR_UNSUPPORTED na"
        "mes a\n"
        "turn that cannot be located reliably."
    ),
    "kd_generator_options_init": (
        None, [POINTER(kd_generator_options), c_size_t],
        ""
    ),
    "kd_generator_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_generator_options)],
        "Keeps the model alive. The model must not be trained while sequences run; call\n"
        "kd_generator_refresh after training. KD_ERR_UNSUPPORTED: not a language model."
    ),
    "kd_generator_free": (
        None, [c_void_p],
        "Keeps the model alive. The model must not be trained while sequences run; call\n"
        "kd_generator_refresh after training. KD_ERR_UNSUPPORTED: not a language model."
    ),
    "kd_sampling_init": (
        None, [POINTER(kd_sampling), c_size_t],
        ""
    ),
    "kd_generator_add": (
        c_int32, [c_void_p, POINTER(c_int32), c_int64, POINTER(kd_sampling), POINTER(c_int64)],
        "Adds a prompt of `count` ids, with the begin token if the model's texts have one: see\n"
        "KD_TOKENIZER_ADD_SPECIAL and kd_chat_encode. Everything is copied. *request numbers prompt"
        "s from\n"
        "0. Filters apply in this order: penalty, temperature, top_k, top_p, min_p. KD_ERR_RANGE:\n"
        "- an empty prompt, or an invalid id;\n"
        "- prompt and max_tokens exceed the cache;\n"
        "- the prompt exceeds the model's positions (max_tokens is reduced to fit them).\n"
        "KD_ERR_INVALID: a temperature above 0 and KD_DRAW_INVERSE in a generator with a draft, whi"
        "ch\n"
        "would nearly never be right."
    ),
    "kd_generator_next": (
        c_int32, [c_void_p, POINTER(kd_generated)],
        "Runs until a text is finished; what `text` points to is valid until the next call.\n"
        "- KD_END: all texts have been returned.\n"
        "- KD_ERR_CANCELED: the context was canceled; the next call continues with what is running."
    ),
    "kd_generator_refresh": (
        c_int32, [c_void_p],
        "Call after the model was trained: drops cached blocks and rebuilds 8-bit weights. KD_ERR_S"
        "TATE:\n"
        "prompts are waiting or running, or texts have not been fetched."
    ),
    "kd_generator_cancel": (
        c_int32, [c_void_p, c_int64],
        "Drops the rest of a prompt: waiting, running and finished samples."
    ),
    "kd_generator_estimate_memory": (
        c_int32, [c_void_p, POINTER(kd_generator_options), POINTER(kd_generator_info)],
        "What a generator would take, before anything is allocated; the counts are 0."
    ),
    "kd_generator_get_info": (
        c_int32, [c_void_p, POINTER(kd_generator_info)],
        "What a generator would take, before anything is allocated; the counts are 0."
    ),
    "kd_beam_options_init": (
        None, [POINTER(kd_beam_options), c_size_t],
        ""
    ),
    "kd_generator_beam_search": (
        c_int32, [
            c_void_p, POINTER(c_int32), c_int64, POINTER(kd_beam_options), POINTER(kd_generated),
            POINTER(c_double),
        ],
        "Beam search from one prompt: returns the best text (reason, count, ids, text, logprobs).\n"
        "- KD_ERR_STATE: the generator is not idle.\n"
        "- KD_ERR_RANGE: beams is not 1 to max_sequences (at most 256), or the cache is too small: "
        "it\n"
        "  needs the prompt's blocks, and for each beam the blocks of its text and one more."
    ),
    "kd_speed_options_init": (
        None, [POINTER(kd_speed_options), c_size_t],
        ""
    ),
    "kd_model_measure_speed": (
        c_int32, [c_void_p, POINTER(kd_speed_options), POINTER(kd_speed)],
        "Measures generation from prompts of arbitrary tokens. KD_ERR_RANGE: prompt and new tokens "
        "exceed\n"
        "the model's positions."
    ),
    "kd_student_options_init": (
        None, [POINTER(kd_student_options), c_size_t],
        ""
    ),
    "kd_student_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_student_options)],
        "A student with the teacher's vocabulary, its embeddings and the kept part of its layers. T"
        "eachers\n"
        "are decoders, encoders and transformers over patches.\n"
        "- Widths are cut by importance: feed-forward and heads in each layer separately, hidden un"
        "its the\n"
        "  same everywhere. Without `calibration`, the first ones are kept.\n"
        "- With kd_layer_repeats, shared layers take the weights of the first teacher layer mapped "
        "to\n"
        "  them.\n"
        "- An encoder's heads fill its rows: hidden_size is a multiple of a head's width, and the n"
        "umber\n"
        "  of heads follows from it. Tables of positions and types, pooler, classifier, dense layer"
        "s are\n"
        '  cut along; an "embedding" without dense layers has hidden_size numbers. What `config` ad'
        "ds to\n"
        "  the teacher, as a dense layer (kd_dense) after a narrower trunk, begins at random.\n"
        "- Transformers over patches are cut as encoders are, tokens, patches and heads along; the"
        "\n"
        "  calibration is a batch of images. Images and patches stay the teacher's.\n"
        '- Heads of kd_heads are cut along. One that reads "hidden.i" reads the student\'s layer th'
        "at was\n"
        "  made of the teacher's layer i; where there is none it is left out, with a warning. With"
        "\n"
        "  `kd_heads` in `config` the student has those; what the teacher has not so begins at rand"
        "om.\n"
        "- The teacher's folder is remembered, so that its tokenizer, and what sentence-transformer"
        "s has\n"
        "  beside it, is copied when the student is saved.\n"
        "- KD_ERR_UNSUPPORTED: the teacher is none of them.\n"
        "- KD_ERR_RANGE: more than the teacher has, or heads that do not fill a row.\n"
        "- KD_ERR_CONFIG: keys of `config` that ask for another size than the options, or for more"
        "\n"
        "  positions, types or other labels than the teacher has."
    ),
    "kd_student_map_layers": (
        c_int32, [c_void_p, POINTER(kd_student_options), POINTER(c_int32)],
        "Which of the teacher's layers a student has, `choose`:\n"
        "- KD_LAYERS_UNIFORM, _FIRST, _LAST, _BLOCKS: by number.\n"
        "- KD_LAYERS_INFLUENCE: those that change what goes through them most, 1 - mean cosine of w"
        "hat\n"
        "  enters a layer and what it leaves, and the last one [ShortGPT, Men et al. 2024]. Of equa"
        "l ones\n"
        "  the lower. One pass.\n"
        "- KD_LAYERS_GREEDY: again and again the layer goes whose loss costs least, as KL(teacher, "
        "rest)\n"
        '  of the logits, or without a head as the squared distance of "hidden" [SLEB, Song et al. '
        "2024].\n"
        "  Of equal ones the higher. From L to l layers (L (L + 1) - l (l + 1)) / 2 passes of half "
        "the\n"
        "  layers, which the context's progress counts and may stop; beside a pass, memory for what"
        " enters\n"
        "  each layer and for (tokens, vocabulary) logits, in blocks from 16 million numbers on.\n"
        "The last two look at `calibration`, some hundred tokens; without it at 256 random ones.\n"
        "kd_student_map_layers: map (options->layers), ascending. It is what kd_student_create take"
        "s with\n"
        "the same options, to be given to several students as layer_map, or to terms of layers\n"
        "(kd_loss_add_mapped). KD_ERR_INVALID: a teacher of images and no calibration. Since 0.2."
    ),
    "kd_student_measure_influence": (
        c_int32, [c_void_p, c_void_p, POINTER(c_double), c_int32, POINTER(c_int32)],
        "influence (capacity; NULL: only *count): of each layer, from 0 (it changes nothing) to 2; "
        "*count:\n"
        "the teacher's layers. calibration NULL: 256 random tokens. KD_ERR_RANGE: a smaller capacit"
        "y.\n"
        "Since 0.2."
    ),
    "kd_static_options_init": (
        None, [POINTER(kd_static_options), c_size_t],
        ""
    ),
    "kd_student_create_static": (
        c_int32, [POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_static_options)],
        'A static embedding (model_type "static_embedding") from an encoder: each token of the toke'
        "nizer,\n"
        "between what the tokenizer puts around a text, goes through the teacher alone; the rows ar"
        "e\n"
        "turned to their principal axes, the first hidden_size of which are kept, each with its lar"
        "gest\n"
        "number positive; then weighted [Arora et al. 2017]. The recipe of model2vec, for the teach"
        "er's\n"
        "own vocabulary.\n"
        "- Ranks count the tokens that are not skipped, in the order of their ids.\n"
        "- Unknown tokens are left out of a text's mean (config key ignored_token).\n"
        "- The teacher's folder is remembered, so that its tokenizer is copied when the student is "
        "saved.\n"
        "- The student is trained as any model is: put its table into a `lazy` group (optimizer.h)."
        "\n"
        "- KD_ERR_SHAPE: the output has not one row for each sample. KD_ERR_NOT_FOUND: there is non"
        "e."
    ),
    "kd_model_resize_vocabulary": (
        c_int32, [c_void_p, c_int64],
        "Gives the model's embeddings (and its head) `vocabulary` rows. New rows are the mean of th"
        "e old\n"
        "ones [Hewitt 2021]; rows beyond `vocabulary` are removed. Gradients and optimizer state be"
        "come\n"
        "invalid: create optimizers afterward."
    ),
    "kd_model_append_dense": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), c_char_p],
        'Puts a dense layer f(x W\' + b) into a language model, after those that its "embedding" ha'
        "s and\n"
        "before its length 1.\n"
        '- output: "embedding", or NULL for it: no other takes layers.\n'
        "- weight (N, numbers of the embedding), bias (N) or NULL: float32, copied.\n"
        '- activation: "none", "relu", "tanh" or "sigmoid"; NULL: "none".\n'
        '- Its tensors, "dense.0.weight" and ".bias" where it is the first, are trained as others a'
        "re.\n"
        "- The model is saved as a folder of sentence-transformers from then on, with 2_Dense; its "
        "config\n"
        "  says kd_pooling and kd_dense.\n"
        "- A static embedding takes its table times the weight, and a layer without bias and activa"
        "tion\n"
        "  alone.\n"
        "- Views and optimizers made before become invalid; so do passes.\n"
        "KD_ERR_SHAPE: other widths. KD_ERR_RANGE: more than 4 layers. KD_ERR_STATE: a step is open"
        "."
    ),
    "kd_student_append_projection": (
        c_int32, [c_void_p, c_void_p, c_int32],
        'The same with the projection of a term that compares "embedding", or "pooled" where the st'
        "udent\n"
        "has no dense layers: the student's embeddings are in the teacher's space then. An MLP beco"
        "mes two\n"
        "layers, an orthogonal projection is made orthogonal first.\n"
        "- Of embeddings of length 1 only a projection without bias is taken: the layer comes befor"
        "e that\n"
        "  length, where a bias would weigh otherwise.\n"
        "- The loss keeps its own: continue with one whose term has none.\n"
        "KD_ERR_NOT_FOUND: the term has none. KD_ERR_STATE: its widths are open (kd_loss_prepare)."
        "\n"
        "KD_ERR_UNSUPPORTED: the term compares another output."
    ),
    "kd_lora_options_init": (
        None, [POINTER(kd_lora_options), c_size_t],
        ""
    ),
    "kd_model_add_lora": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_lora_options)],
        'Gives every matrix whose name matches the pattern (NULL: "*_proj.weight") a low-rank adapt'
        "er:\n"
        "tensors name.lora_A (rank, in), random, and name.lora_B (out, rank), zero. [Hu et al. 2022"
        "]\n"
        "- The first call freezes all other tensors (kd_model_freeze can unfreeze some).\n"
        "- Passes, generators and kd_model_save see W + alpha / rank B A: a saved folder has it mer"
        "ged.\n"
        "- Views and optimizers made before become invalid.\n"
        "- May be called again for other matrices.\n"
        "- Of a model of packed_only that is not frozen (QLoRA): the base stays in few bits, and A "
        "and B\n"
        "  alone have gradients and moments. Passes make W + alpha / rank B A in float32, some rows"
        " at a\n"
        "  time, and do not round their inputs: gradients are exact. Generators of the same `weight"
        "s` add\n"
        "  the adapters to the packed products. kd_model_save writes adapter_config.json and\n"
        "  adapter_model.safetensors, which PEFT loads; checkpoints hold the adapters, not the base"
        "."
    ),
    "kd_student_preset": (
        c_int32, [c_char_p, POINTER(c_char_p)],
        'A ready-made config as static JSON text: "llama-100k", "llama-1m", "llama-5m", "llama-15m"'
        ",\n"
        '"llama-40m", "llama-150m", and the same with "qwen3-". The name gives the approximate numb'
        "er of\n"
        "parameters with 2,048 tokens (100k, 1m), 8,192 (5m, 15m) or 49,152 (40m, 150m). KD_ERR_NOT"
        "_FOUND\n"
        "lists the names."
    ),
    "kd_towers_create": (
        c_int32, [
            POINTER(c_void_p), c_void_p, c_char_p, POINTER(c_char_p), POINTER(c_void_p), c_int32,
            POINTER(kd_model_options),
        ],
        'Towers out of models that exist. `config` is one of model_type "towers"; a tower that `nam'
        "es`\n"
        "(count) lists gets the network of the model of the same place, and a copy of its weights: "
        "its\n"
        'object in the config may have the keys "input", "output", "pooling", "frozen" and\n'
        '"rows_per_sample" alone. Other towers are made as kd_model_create makes them. The models a'
        "re not\n"
        "kept. Errors: KD_ERR_NOT_FOUND (no tower of that name), KD_ERR_CONFIG (a key that the netw"
        "ork\n"
        "has already), KD_ERR_UNSUPPORTED (a model with adapters; a static embedding whose rows are"
        "\n"
        "shared by a mapping; a model of another context)."
    ),
    "kd_towers_save": (
        c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_model_save_options)],
        "Writes one tower as the folder of a model by itself, as kd_model_save writes it, without w"
        "hat\n"
        "joins it to the others (projection, fusion). The tokenizer's files go along where\n"
        "kd_towers_create was given a model that was loaded from a folder. KD_ERR_NOT_FOUND: there "
        "is no\n"
        "tower of that name."
    ),
    "kd_model_output_present": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "Which rows or samples of an output the last pass had something to look at for: (entries) u"
        "int8,\n"
        "valid until the next pass; NULL data: all of them, as with every model but towers."
    ),
    "kd_batch_begin_texts": (
        c_int32, [c_void_p, c_void_p, POINTER(c_char_p), c_int32, c_int32],
        "Begins a packed batch of texts (UTF-8), one sample per text: the text's tokens, what the\n"
        "tokenizer puts around them (KD_TOKENIZER_ADD_SPECIAL), and the end token (an id,\n"
        "KD_END_TOKEN_DEFAULT or KD_END_TOKEN_NONE).\n"
        '- Fields: "tokens" (rows) int64, "end" (rows) int64: where each token ends, in bytes of it'
        "s text.\n"
        "- A sample's key is the key of its tokens (kd_store_key), so a store filled from such a ba"
        "tch can\n"
        "  answer for it."
    ),
    "kd_loss_set_shared_tokens": (
        c_int32, [c_void_p, c_int32, c_void_p, c_int64, c_void_p, c_int64, POINTER(c_int64)],
        "kd_loss_set_shared_classes with the map from kd_tokenizer_map, plus the two tokenizers' fi"
        "rst end\n"
        "tokens as a pair. The numbers of classes are those of the logits, at least as many as the"
        "\n"
        "tokenizer has ids. *shared (may be NULL): the number of pairs."
    ),
    "kd_align_find_chunks": (
        c_int32, [POINTER(kd_array), POINTER(kd_array), POINTER(kd_array), POINTER(c_int64)],
        "Cuts two token sequences of the same text at their common byte boundaries. `student_ends` "
        "and\n"
        "`teacher_ends` hold where each token ends in bytes, increasing ((n) and (m) integers).\n"
        "- Chunk c spans student tokens chunks[c][0] .. chunks[c][1] - 1 and teacher tokens chunks["
        "c][2]\n"
        "  .. chunks[c][3] - 1; *count is the number of chunks (at most min(n, m)).\n"
        "- Tokens after the last common boundary belong to no chunk.\n"
        "- chunks: (capacity, 4) int64; NULL: only count.\n"
        "- KD_ERR_RANGE: ends decrease, or capacity is too small."
    ),
    "kd_targets_align": (
        c_int32, [
            c_void_p, c_void_p, c_char_p, POINTER(kd_array), c_int64, c_int64, c_int64,
            POINTER(c_int64),
        ],
        "Moves a teacher's field from its own rows to the student's, using such chunks: row student"
        "_begin\n"
        "+ s of `to` gets row teacher_begin + t of `from` if tokens s and t begin at the same byte "
        "and\n"
        "begin chunks of one token on both sides. Other rows are absent; *absent (may be NULL) coun"
        "ts\n"
        "them. Works for dense float fields and sparse ones. A row predicts the token that begins t"
        "here.\n"
        "Fields that `to` already has keep their other rows."
    ),
    "kd_align_sum_chunks": (
        c_int32, [POINTER(kd_array), POINTER(kd_array), c_int64, c_int32, POINTER(kd_array)],
        "Sums log-probabilities over chunks: sums[c] = sum of log_probabilities[chunks[c][side] .."
        "\n"
        "chunks[c][side + 1] - 1]; side 0: the student's, 2: the teacher's. log_probabilities: (n)"
        "\n"
        "float32; sums: (count) float64."
    ),
    "kd_mask_options_init": (
        None, [POINTER(kd_mask_options), c_size_t],
        ""
    ),
    "kd_batch_mask_tokens": (
        c_int32, [c_void_p, POINTER(kd_mask_options)],
        "Hides tokens of a batch, to be called once after it was filled: each row that is not speci"
        "al is\n"
        "chosen with probability `share`. [Devlin et al. 2019, 3.1]\n"
        "- Writes the tokens, labels (what a chosen row was, elsewhere -100, which terms ignore) an"
        "d the\n"
        "  mask (1: chosen), for terms with mask_field.\n"
        "- What is hidden depends on seed, the sample's key, epoch and the place in the sample alon"
        "e: the\n"
        "  same in any batch, on any rank, with any number of threads. A sample whose key is 0 (a h"
        "ost's,\n"
        "  without kd_batch_set_samples) draws by its tokens instead.\n"
        "- KD_ERR_RANGE: a share outside 0 to 1, ids outside the vocabulary. KD_ERR_NOT_FOUND: no s"
        "uch\n"
        "  field of tokens. The batch is then unchanged."
    ),
    "kd_block_bytes": (
        c_int64, [c_int32, c_int64],
        "Bytes of `count` numbers of a format; 0: no such format, or count is no whole number of\n"
        "blocks."
    ),
    "kd_block_encode": (
        c_int32, [c_void_p, c_int32, POINTER(kd_array), POINTER(kd_array), c_void_p, c_int64],
        "Writes `values`, contiguous float32 (rows, n) or (n), as blocks, row by row.\n"
        "- importance: (n) float32, 0 or more: what the squared errors of each column weigh in the "
        "search\n"
        "  for scales, as llama.cpp's importance matrices say. NULL: none.\n"
        "- bytes, size: the caller's, size = kd_block_bytes(format, rows * n).\n"
        "Equal to ggml's own bytes for Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0; the others search, and may "
        "differ\n"
        "from ggml in the last bits of sums that decide between two candidates of the same error.\n"
        "Errors: KD_ERR_UNSUPPORTED (a format that is only read), KD_ERR_SHAPE, KD_ERR_RANGE (a num"
        "ber\n"
        "that is not finite, or scales beyond float16: nothing is written)."
    ),
    "kd_block_decode": (
        c_int32, [c_void_p, c_int32, c_void_p, c_int64, POINTER(kd_array)],
        "Reads blocks into `values`, contiguous float32, whose count the bytes must have."
    ),
    "kd_importance_create": (
        c_int32, [POINTER(c_void_p), c_void_p],
        "Nothing known yet. KD_ERR_UNSUPPORTED: the model is not a llama, mistral, qwen2 or qwen3."
    ),
    "kd_importance_load": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p],
        "A file of llama-imatrix (GGUF) for this model.\n"
        "- KD_ERR_MISMATCH: an entry that is none of the model's matrices; KD_ERR_SHAPE: another wi"
        "dth.\n"
        "- Matrices without an entry are known as such: kd_importance_get says a count of 0."
    ),
    "kd_importance_free": (
        None, [c_void_p],
        "A file of llama-imatrix (GGUF) for this model.\n"
        "- KD_ERR_MISMATCH: an entry that is none of the model's matrices; KD_ERR_SHAPE: another wi"
        "dth.\n"
        "- Matrices without an entry are known as such: kd_importance_get says a count of 0."
    ),
    "kd_importance_add": (
        c_int32, [c_void_p, c_void_p],
        "Runs the model over a batch, without dropout, in a separate pass that keeps all layers' va"
        "lues,\n"
        "and adds what enters the matrices. What kd_model_output views stays."
    ),
    "kd_importance_save": (
        c_int32, [c_void_p, c_char_p],
        "Writes what was added, to a temporary name that is then renamed. KD_ERR_STATE: nothing was"
        "."
    ),
    "kd_importance_get": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(c_int64)],
        "The mean square of each input of a matrix, by the model's name of it, and how many rows we"
        "re\n"
        "added. *mean_square is a view (inputs) float32 that lives until the next call with this ha"
        "ndle;\n"
        "zeros if *count is 0. KD_ERR_NOT_FOUND: it is not a matrix of a layer."
    ),
    "kd_lattice_options_init": (
        None, [POINTER(kd_lattice_options), c_size_t],
        ""
    ),
    "kd_model_set_lattice": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_lattice_options)],
        'Puts the matrices whose name matches the pattern (* and ?; NULL: "*_proj.weight") on a lat'
        "tice,\n"
        'or with format 0 off it. Another call may put others on another format: "*embed_tokens.wei'
        'ght" in\n'
        "Q8_0. Passes, generators, kd_model_save and kd_model_write_gguf see the lattice's points;"
        "\n"
        "kd_model_parameters, optimizers and checkpoints the float32 numbers.\n"
        "- Takes 4 bytes for each parameter, and the blocks.\n"
        "- Optimizers: a weight decay moves numbers over thresholds to no purpose; leave it 0 for t"
        "hese.\n"
        "Errors: KD_ERR_NOT_FOUND (nothing matches), KD_ERR_SHAPE (a matrix whose rows do not fit: "
        "the\n"
        "message names it), KD_ERR_UNSUPPORTED (not a language model, a format that is only read, 8"
        "-bit\n"
        "weights), KD_ERR_STATE (adapters; a step is open). After an error the model is as before."
    ),
    "kd_model_get_lattice_info": (
        c_int32, [c_void_p, POINTER(kd_lattice_info)],
        "About the lattice of now. KD_ERR_STATE: the model has none."
    ),
    "kd_gguf_options_init": (
        None, [POINTER(kd_gguf_options), c_size_t],
        ""
    ),
    "kd_model_write_gguf": (
        c_int32, [c_void_p, c_void_p, c_char_p, POINTER(kd_gguf_options), POINTER(kd_gguf_info)],
        "Writes a model and its tokenizer as one GGUF file (version 3), to a temporary name that is"
        " then\n"
        "renamed. Shared layers are written out, vectors are float32. options NULL: the defaults; i"
        "nfo\n"
        "NULL: not wanted.\n"
        "- A matrix whose rows do not fit a format gets llama.cpp's own substitute: Q4_K becomes Q5"
        "_0,\n"
        "  Q5_K Q5_1, Q6_K Q8_0; where rows are not a multiple of 32 it is float16. info counts the"
        "m, the\n"
        "  context's logger gets a warning for each. With KD_MIX_PURE that is KD_ERR_SHAPE, except "
        "for\n"
        "  float16.\n"
        "- KD_ERR_RANGE: a number that is not finite, or scales beyond float16; the message has the"
        "\n"
        "  tensor's name, and no file is left.\n"
        "- Matrices on a lattice are written as passes see them, nothing is rounded again;\n"
        "  KD_ERR_MISMATCH: another format is asked for.\n"
        "- KD_ERR_NOT_FOUND: a rule that matches nothing.\n"
        "- KD_ERR_UNSUPPORTED: sliding windows, dynamic rope scaling, or a tokenizer whose pre-toke"
        "nizer\n"
        "  has no name in GGUF (known: GPT-2, Llama 3, Qwen2, SmolLM and character models); a forma"
        "t that\n"
        "  is only read."
    ),
    "kd_model_plan_gguf": (
        c_int32, [c_void_p, POINTER(kd_gguf_options), POINTER(kd_gguf_info)],
        "The same info, and the same errors of the model, but nothing is written."
    ),
    "kd_model_save_gguf": (
        c_int32, [c_void_p, c_void_p, c_char_p, c_int32, c_int32],
        "Writes every matrix in one format, without options.\n"
        "- dtype: KD_FLOAT32, KD_FLOAT16, or KD_INT8: Q8_0, 8 bits with one scale per 32 numbers (m"
        "atrices\n"
        "  whose rows are not a multiple of 32 stay float16). Vectors are float32.\n"
        "- end_token: the id that ends a text. KD_END_TOKEN_DEFAULT: the tokenizer's own, and the t"
        "oken\n"
        "  that ends a chat turn if it is a different one. KD_END_TOKEN_NONE: none is written.\n"
        "Errors: those of kd_model_write_gguf."
    ),
    "kd_record_init": (
        None, [POINTER(kd_record), c_size_t],
        ""
    ),
    "kd_record_set_keys": (
        c_int32, [POINTER(kd_record)],
        "Fills in both keys: MurmurHash3 x64 128 of the texts, each with its role and a 0 after it."
        "\n"
        "Without messages, prompt and completion are used."
    ),
    "kd_record_to_json": (
        c_int32, [c_void_p, POINTER(kd_record), POINTER(c_char_p)],
        "The record as one line of JSON in the first shape, without a line break; freed by\n"
        "kd_context_free_text. KD_ERR_INVALID: what no reader would accept: a text that is not UTF-"
        "8, a\n"
        'message without role or content, an "extra" that is not an object or repeats a member of t'
        "he\n"
        "record."
    ),
    "kd_record_options_init": (
        None, [POINTER(kd_record_options), c_size_t],
        ""
    ),
    "kd_record_reader_open": (
        c_int32, [
            POINTER(c_void_p), c_void_p, POINTER(c_char_p), c_int32, POINTER(kd_record_options),
        ],
        "Opens files to be read one after another. KD_ERR_NOT_FOUND names a missing one."
    ),
    "kd_record_reader_open_text": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, c_int64, POINTER(kd_record_options)],
        "The same from a text of lines, copied."
    ),
    "kd_record_reader_free": (
        None, [c_void_p],
        "The same from a text of lines, copied."
    ),
    "kd_record_reader_next": (
        c_int32, [c_void_p, POINTER(kd_record)],
        "KD_OK, KD_END, or an error. Empty lines are skipped."
    ),
    "kd_record_reader_rewind": (
        c_int32, [c_void_p],
        "Back to the first record; the counts restart too."
    ),
    "kd_record_reader_get_counts": (
        c_int32, [c_void_p, POINTER(kd_record_counts)],
        ""
    ),
    "kd_record_writer_options_init": (
        None, [POINTER(kd_record_writer_options), c_size_t],
        ""
    ),
    "kd_record_writer_open": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_record_writer_options)],
        ""
    ),
    "kd_record_writer_add": (
        c_int32, [c_void_p, POINTER(kd_record)],
        "Writes a line completely or (with append) not at all."
    ),
    "kd_record_writer_close": (
        c_int32, [c_void_p],
        "Everything is on disk afterward. A writer freed without it leaves no new file, and an appe"
        "nded\n"
        "file with the lines written so far."
    ),
    "kd_record_writer_free": (
        None, [c_void_p],
        "Everything is on disk afterward. A writer freed without it leaves no new file, and an appe"
        "nded\n"
        "file with the lines written so far."
    ),
    "kd_verify_options_init": (
        None, [POINTER(kd_verify_options), c_size_t],
        ""
    ),
    "kd_verify_answer": (
        c_int32, [
            c_char_p, c_char_p, POINTER(kd_verify_options), POINTER(c_int32), POINTER(c_int32),
        ],
        "Is the text's answer the expected one? `expected` is a text too, whose answer is found the"
        " same\n"
        "way. *passed (may be NULL): bits of the verifiers that accept it. *right: their combined v"
        "erdict,\n"
        "format included."
    ),
    "kd_verify_find_answer": (
        c_int32, [c_char_p, POINTER(c_char_p), POINTER(c_int64)],
        "Where a text's answer is."
    ),
    "kd_verify_find_number": (
        c_int32, [c_char_p, POINTER(c_double), POINTER(c_int32)],
        "The number of an answer, as KD_VERIFY_NUMBER reads it. *percent (may be NULL): 1: a percen"
        "t sign\n"
        "follows it. KD_ERR_NOT_FOUND: there is none."
    ),
    "kd_verify_majority": (
        c_int32, [
            POINTER(c_char_p), c_int32, POINTER(kd_verify_options), POINTER(c_int32),
            POINTER(c_int32),
        ],
        "The most frequent answer of several texts; answers are equal if kd_verify_answer says so."
        "\n"
        "*winner: the first text that has it; *votes: how many have it.\n"
        "- Texts whose answer no verifier accepts agree with none, not even with themselves: *votes"
        " is 0\n"
        "  if there are no others.\n"
        "- Every text is compared with every other: the time grows with the square of `count`."
    ),
    "kd_verify_pass_at_k": (
        c_int32, [POINTER(c_int32), c_int64, c_int32, c_int32, POINTER(kd_pass_at_k)],
        "pass@1 and pass@k from verdicts `right` ((questions, samples) 0 or 1). Q = 1: the errors a"
        "re 0.\n"
        "KD_ERR_RANGE: k is not 1 to samples."
    ),
    "kd_answers_options_init": (
        None, [POINTER(kd_answers_options), c_size_t],
        ""
    ),
    "kd_answers_collect": (
        c_int32, [
            c_void_p, c_void_p, c_void_p, c_char_p, POINTER(kd_answers_options),
            POINTER(kd_answers_progress),
        ],
        "Reads prompts (records; their completions are ignored) and appends `samples` records per p"
        "rompt\n"
        "to `path`, in the prompts' order: answer, its number, seed, temperature, teacher, score. `"
        "done`\n"
        "(may be NULL) gets the final progress.\n"
        "- A file from a call that was killed or canceled is continued after its last complete line"
        ", and\n"
        "  ends with the bytes of an uninterrupted run: an answer depends only on model, prompt, sa"
        "mpling\n"
        "  and number.\n"
        "- generator may be NULL if there is a function. Otherwise it needs a tokenizer and must be"
        " idle.\n"
        "- KD_ERR_MISMATCH: a line of the file answers another prompt than the reader's, or was sam"
        "pled\n"
        "  with another seed or temperature.\n"
        "- KD_ERR_INVALID: a prompt that has only ids."
    ),
    "kd_answers_collect_chunks": (
        c_int32, [
            c_void_p, c_void_p, c_void_p, c_char_p, POINTER(kd_answers_options),
            POINTER(kd_answers_progress),
        ],
        "The same by many workers (processes, machines) that share a folder, each with all prompts "
        "in the\n"
        "same order: a worker takes chunks of prompts that nobody has answered or holds, until ther"
        "e is\n"
        "none. The file of a chunk appears as a whole; a worker that is killed loses its chunk alon"
        "e,\n"
        "which another takes when the lease is over. Since 0.2.\n"
        "- done->done < done->total: chunks are still held by others; call again, or leave it to th"
        "em.\n"
        "- max_prompts limits all workers together; `first` must be 0.\n"
        "- KD_ERR_MISMATCH: other prompts, samples, chunks or sampling than those who began in that"
        " folder\n"
        "  (plan.json)."
    ),
    "kd_answers_concat": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "One file of a folder's chunks, moved into its place: the bytes that kd_answers_collect wou"
        "ld have\n"
        "written, whoever answered. KD_ERR_STATE: chunks are missing. Since 0.2."
    ),
    "kd_answers_judge": (
        c_int32, [
            c_void_p, POINTER(kd_verify_options), c_int32, POINTER(c_int32), c_int64,
            POINTER(kd_answers_result),
        ],
        'Judges a file of answers against their "expected". The answers to a prompt are consecutive'
        ", and\n"
        "every prompt has the same number. The caller sets result->struct_size.\n"
        "- k: for pass@k, at most the answers per prompt.\n"
        "- rights (NULL, or room for capacity int32): (questions, samples) 0 or 1, for comparisons."
        "\n"
        "- KD_ERR_SHAPE: a prompt with another number of answers.\n"
        '- KD_ERR_INVALID: a record without "expected".\n'
        "- KD_ERR_RANGE: capacity, k."
    ),
    "kd_import_options_init": (
        None, [POINTER(kd_import_options), c_size_t],
        ""
    ),
    "kd_store_writer_import": (
        c_int32, [
            c_void_p, c_int32, c_char_p, POINTER(kd_import_options), POINTER(kd_import_counts),
        ],
        "Reads the file into the writer's store, one record at a time, with all entries of each row"
        ",\n"
        "whatever the field's k. The writer's temperature is what the server sampled at (no server "
        "reports\n"
        "it). counts may be NULL. KD_ERR_FORMAT names the line; the records of the lines before it "
        "are\n"
        "committed."
    ),
    "kd_arrow_options_init": (
        None, [POINTER(kd_arrow_options), c_size_t],
        ""
    ),
    "kd_record_reader_from_arrow": (
        c_int32, [POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_arrow_options)],
        "A reader of the rows of a stream: each row is what a line's object is in a file, its colum"
        "ns are\n"
        "the members (kdistill/record.h), null is absent. `stream` is moved: its release becomes NU"
        "LL,\n"
        "also if the call fails after the stream was looked at.\n"
        "- Types: texts (utf8, large_utf8, utf8_view), numbers and bools, nulls, lists (list, large"
        "_list,\n"
        "  their views, fixed_size_list) and structs of these, dictionaries. KD_ERR_UNSUPPORTED nam"
        "es a\n"
        "  column of another type. NaN is null; infinity is refused.\n"
        '- A column "extra" of texts, of the rows or in a list of turns, holds further members as a'
        " JSON\n"
        '  object; columns whose names begin with "kd_" are left out. So a stream of\n'
        "  kd_record_reader_to_arrow is read as the same records.\n"
        "- KD_ERR_FORMAT: offsets, lengths or children of an array that do not fit; KD_ERR_IO: the "
        "stream\n"
        "  reports an error. The rest is not read then."
    ),
    "kd_record_reader_to_arrow": (
        c_int32, [c_void_p, c_void_p],
        "Fills `stream`, whose old content is ignored, with the reader's remaining records, in batc"
        "hes of\n"
        "about 1,000. The stream keeps the reader alive and moves it. Columns:\n"
        "- id, domain, expected, teacher, finish, tools, chat_template_kwargs, extra: texts, null i"
        "f\n"
        "  empty; the last three are JSON. passed: list of texts. sample int32, seed uint64, temper"
        "ature\n"
        "  and score float64, null if unknown.\n"
        "- messages: list of {role, content, extra, weight}, weight 0 where a turn is not learned."
        "\n"
        "- input_ids (int32), mask (bool), logprobs (float64), logprob_ends (int64): lists.\n"
        "- kd_key and kd_prompt_key (32 hexadecimal digits, the first number first), kd_prompt,\n"
        "  kd_completion, kd_line (int64): facts for queries, which a reader leaves out.\n"
        "A record that cannot be read ends the stream with an error and the reader's message."
    ),
    "kd_store_to_arrow": (
        c_int32, [c_void_p, c_void_p, POINTER(c_char_p), c_int32],
        "Fills `stream` with a store's records, one a row, in batches. The stream keeps the store a"
        "live.\n"
        "- kd_key (32 hexadecimal digits), view, first, positions, bytes.\n"
        "- fields: names of what else is wanted; NULL: all but dense logits, hidden states and vect"
        "ors.\n"
        "  Top-k and counts are NAME.ids (lists of uint32, one a position), NAME.values (lists of f"
        "loat32)\n"
        "  and NAME.tail; labels lists of int64, rows of numbers lists of lists of float32, embeddi"
        "ngs\n"
        "  lists of float32; texts, scores (float64) and seeds (uint64) plain columns. Absent: null"
        ".\n"
        "- KD_ERR_NOT_FOUND: the store has no field of that name."
    ),
    "kd_report_create": (
        c_int32, [POINTER(c_void_p), c_void_p],
        ""
    ),
    "kd_report_free": (
        None, [c_void_p],
        ""
    ),
    "kd_report_set_number": (
        c_int32, [c_void_p, c_char_p, c_double],
        '"students.soft.accuracy": objects are created as needed; a name set twice keeps the last v'
        "alue.\n"
        "NaN and infinity become null."
    ),
    "kd_report_set_text": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        '"students.soft.accuracy": objects are created as needed; a name set twice keeps the last v'
        "alue.\n"
        "NaN and infinity become null."
    ),
    "kd_report_set_numbers": (
        c_int32, [c_void_p, c_char_p, POINTER(c_double), c_int64],
        '"students.soft.accuracy": objects are created as needed; a name set twice keeps the last v'
        "alue.\n"
        "NaN and infinity become null."
    ),
    "kd_report_json": (
        c_int32, [c_void_p, POINTER(c_char_p)],
        "The JSON text, valid until the report changes."
    ),
    "kd_report_write": (
        c_int32, [c_void_p, c_char_p],
        "Writes the JSON text to a temporary file and renames it to `path`."
    ),
    "kd_report_set_cell": (
        c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_double, c_double],
        "Sets a cell of a table; tables, rows and columns appear in the order in which they are fir"
        "st\n"
        'named. standard_error NaN: none. In JSON: "tables": {table: {row: {column: value or {"valu'
        'e",\n'
        '"standard_error"}}}}.'
    ),
    "kd_report_add_series": (
        c_int32, [
            c_void_p, c_char_p, c_char_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64,
        ],
        "Adds the points (x, y) of a series to a picture; the page chooses a color and adds a legen"
        "d. A\n"
        'series named twice is replaced. In JSON: "pictures": {picture: {"kind", "series": {..}}}.'
    ),
    "kd_report_set_axes": (
        c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_int32],
        "Labels the axes; `logarithmic` makes the x axis logarithmic."
    ),
    "kd_report_text": (
        c_int32, [c_void_p, POINTER(c_char_p)],
        "Everything as plain text: facts, then tables. Valid until the report changes."
    ),
    "kd_report_write_html": (
        c_int32, [c_void_p, c_char_p, c_char_p],
        "A self-contained page with its pictures: no script, nothing loaded from elsewhere."
    ),
    "kd_filter_options_init": (
        None, [POINTER(kd_filter_options), c_size_t],
        ""
    ),
    "kd_curation_options_init": (
        None, [POINTER(kd_curation_options), c_size_t],
        ""
    ),
    "kd_curation_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_curation_options)],
        ""
    ),
    "kd_curation_free": (
        None, [c_void_p],
        ""
    ),
    "kd_curation_add": (
        c_int32, [c_void_p, c_int32, POINTER(kd_filter_options), POINTER(c_int32)],
        "Adds a filter at the end; *step (may be NULL) is its number in the funnel, from 1.\n"
        "KD_ERR_INVALID: something that the kind needs is missing, or an option is set that it does"
        " not\n"
        "read; KD_ERR_RANGE."
    ),
    "kd_curation_set": (
        c_int32, [c_void_p, c_int32, c_int32, c_double],
        "Numbers of the filter at `step`, KD_CURATION_...; a change makes the last run's funnel voi"
        "d.\n"
        "KD_ERR_INVALID: the number of another kind; KD_ERR_RANGE: out of bounds (the message names"
        "\n"
        "them)."
    ),
    "kd_curation_get": (
        c_int32, [c_void_p, c_int32, c_int32, POINTER(c_double)],
        "Numbers of the filter at `step`, KD_CURATION_...; a change makes the last run's funnel voi"
        "d.\n"
        "KD_ERR_INVALID: the number of another kind; KD_ERR_RANGE: out of bounds (the message names"
        "\n"
        "them)."
    ),
    "kd_curation_bounds": (
        c_int32, [c_int32, c_int32, POINTER(c_double), POINTER(c_double), POINTER(c_double)],
        "Bounds and default of a kind's number; each may be NULL. KD_ERR_INVALID: the kind has none"
        "."
    ),
    "kd_curation_run": (
        c_int32, [c_void_p, c_void_p, c_void_p, c_void_p],
        "Runs all filters over the reader's records, from the first. Every run starts over. validat"
        "ion may\n"
        "be NULL (if options.validation is 0). If a call fails, nothing was written after the failu"
        "re and\n"
        "the funnel is void."
    ),
    "kd_curation_step_count": (
        c_int32, [c_void_p, POINTER(c_int32)],
        ""
    ),
    "kd_curation_get_step": (
        c_int32, [c_void_p, c_int32, POINTER(kd_funnel)],
        ""
    ),
    "kd_curation_reason": (
        c_int32, [c_void_p, c_int32, c_int32, POINTER(c_char_p), POINTER(c_int64)],
        ""
    ),
    "kd_curation_to_text": (
        c_int32, [c_void_p, POINTER(c_char_p)],
        "The funnel as a text table; freed by kd_context_free_text."
    ),
    "kd_curation_fill_report": (
        c_int32, [c_void_p, c_void_p, c_char_p],
        "Adds to a report under `name` (at most 40 bytes): the funnel, and histograms before and af"
        "ter of\n"
        "lengths, domains and the teacher's pass rates (if a filter verified)."
    ),
    "kd_curation_is_held_out": (
        c_int32, [POINTER(c_uint64), c_uint64, c_double, POINTER(c_int32)],
        "The side of a split that a prompt is on: *held is 1 with probability `share` (0 to 1), fro"
        "m its\n"
        "key and the seed alone."
    ),
    "kd_augment_options_init": (
        None, [POINTER(kd_augment_options), c_size_t],
        ""
    ),
    "kd_augment_prompts": (
        c_int32, [c_void_p, c_void_p, POINTER(kd_augment_options), POINTER(kd_augment_counts)],
        "Reads all prompts and writes new ones. The reader is rewound and read twice, so that exist"
        "ing\n"
        "prompts are not made again. counts may be NULL.\n"
        "- Numbers are runs of digits, with thousands separators (1,250) and decimals (3.5), withou"
        "t a\n"
        "  sign, and not inside a word (x2, 2nd). Equal numbers stay equal.\n"
        "- Records keep their domain, id and other members. What belonged to the old text (ids,\n"
        "  log-probabilities, seed, score) is removed. Earlier turns stay, except with KD_AUGMENT_A"
        "NSWERS.\n"
        "- KD_ERR_INVALID: no function, no template, a template without {prompt}.\n"
        "- KD_ERR_RANGE: kind, copies, low and high."
    ),
    "kd_packer_options_init": (
        None, [POINTER(kd_packer_options), c_size_t],
        ""
    ),
    "kd_packer_create": (
        c_int32, [POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_packer_options)],
        "Keeps the tokenizer alive; NULL: only ids can be added."
    ),
    "kd_packer_free": (
        None, [c_void_p],
        "Keeps the tokenizer alive; NULL: only ids can be added."
    ),
    "kd_packer_add_task": (
        c_int32, [c_void_p, c_char_p, c_double, POINTER(c_int32)],
        'A task with its weight: see kd_packer_mix. Task 0, "all", with weight 1, always exists. *t'
        "ask is\n"
        "the new task's number. Errors: KD_ERR_RANGE (negative weight), KD_ERR_INVALID (name taken)"
        "."
    ),
    "kd_packer_add": (
        c_int32, [c_void_p, POINTER(kd_record), c_int32],
        "Encodes a record into a task. Ids that a record has are used directly. KD_ERR_INVALID: it "
        "has no\n"
        "answer."
    ),
    "kd_packer_add_ids": (
        c_int32, [c_void_p, POINTER(c_int32), c_void_p, c_int64, POINTER(c_uint64), c_int32],
        "Adds ids; mask (count) may be NULL: all are learned."
    ),
    "kd_packer_add_field": (
        c_int32, [c_void_p, c_char_p, c_int32, c_int64],
        "Numbers that travel with a text: a label, a group, scores. Batches get a field of samples "
        "of that\n"
        "name (kd_batch_set_per_sample), `width` numbers each, KD_INT64 or KD_FLOAT32, absent where"
        " a text\n"
        "has none. Name them before the first text; at most 32. Since 0.2.\n"
        '- A record\'s are the member of that name in "extra", a number or a list of numbers (true '
        "is 1,\n"
        "  false 0, null none), or its score, temperature or sample. KD_ERR_DTYPE, KD_ERR_SHAPE: it"
        " is\n"
        "  something else (the message names the line, and the record is not added).\n"
        "- kd_packer_set_field gives the text that was added last its numbers ((width))."
    ),
    "kd_packer_set_field": (
        c_int32, [c_void_p, c_char_p, POINTER(kd_array)],
        "Numbers that travel with a text: a label, a group, scores. Batches get a field of samples "
        "of that\n"
        "name (kd_batch_set_per_sample), `width` numbers each, KD_INT64 or KD_FLOAT32, absent where"
        " a text\n"
        "has none. Name them before the first text; at most 32. Since 0.2.\n"
        '- A record\'s are the member of that name in "extra", a number or a list of numbers (true '
        "is 1,\n"
        "  false 0, null none), or its score, temperature or sample. KD_ERR_DTYPE, KD_ERR_SHAPE: it"
        " is\n"
        "  something else (the message names the line, and the record is not added).\n"
        "- kd_packer_set_field gives the text that was added last its numbers ((width))."
    ),
    "kd_packer_add_reader": (
        c_int32, [c_void_p, c_void_p, c_int32, POINTER(c_int64)],
        "Adds all remaining records of a reader; *added may be NULL."
    ),
    "kd_packer_clear": (
        c_int32, [c_void_p, c_int32],
        "Drops a task's texts: on-policy training refills it again and again."
    ),
    "kd_packer_mix": (
        c_int32, [c_void_p, POINTER(c_double), c_int32, c_double],
        "How tasks are mixed from the next batch on: each task's share of texts is weight * n^(1 /"
        "\n"
        "temperature), normalized. Temperature 1 (default): proportional to their sizes; infinity: "
        "by\n"
        "weights alone. For a schedule, call it every step. [Raffel et al. 2020]"
    ),
    "kd_packer_next": (
        c_int32, [c_void_p, c_void_p],
        "Fills `batch` with the next texts, at most all that are held. Each pass over a task has a "
        "new\n"
        "order. Never ends. KD_ERR_STATE: no texts."
    ),
    "kd_packer_get_info": (
        c_int32, [c_void_p, POINTER(kd_packer_info)],
        ""
    ),
    "kd_packer_get_task": (
        c_int32, [
            c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int64), POINTER(c_int64),
            POINTER(c_double),
        ],
        "Facts about a task: its name, the texts and tokens it holds, and its passes so far. Any ma"
        "y be\n"
        "NULL."
    ),
    "kd_packer_get_state": (
        c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int32)],
        "The packer's position, for checkpoints: *count in: capacity, out: numbers needed; values N"
        "ULL:\n"
        "only ask. To restore it, the same texts must have been added."
    ),
    "kd_packer_set_state": (
        c_int32, [c_void_p, POINTER(c_int64), c_int32],
        "The packer's position, for checkpoints: *count in: capacity, out: numbers needed; values N"
        "ULL:\n"
        "only ask. To restore it, the same texts must have been added."
    ),
    "kd_recipe_fill": (
        c_int32, [POINTER(kd_recipe), c_int32, c_double],
        "Fills in a recipe. parameters: the student's, which the R1 rates depend on: 1.5e9: 1e-4, 7"
        "e9:\n"
        "8e-5, 14e9: 7e-5, 32e9: 6e-5, 70e9: 2e-5; log-linear in between; smaller models like the\n"
        "smallest. [DeepSeek-AI 2025]"
    ),
    "kd_recipe_create_learning_rate": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_recipe), c_int64],
        "The recipe's learning rate: warm-up, then cosine to the floor, times a plateau if patience"
        " asks\n"
        "for one. Report validation losses, or minus pass@1."
    ),
    "kd_recipe_create_temperature": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_recipe), c_int64],
        "The recipe's temperature, decreasing linearly."
    ),
    "kd_audio_options_init": (
        None, [POINTER(kd_audio_options), c_size_t],
        ""
    ),
    "kd_audio_load": (
        c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_audio_options)],
        "Reads a WAV file: PCM of 8, 16, 24 or 32 bits, float of 32 or 64, one or two channels, als"
        "o as\n"
        "WAVE_FORMAT_EXTENSIBLE and RF64. Integers become value / 2^(bits - 1); other chunks are pa"
        "ssed\n"
        "over; data of size 0xFFFFFFFF (written to a pipe) reach to the file's end.\n"
        "- KD_ERR_FORMAT names what it is instead: more channels, mu-law, ADPCM, MP3, FLAC, a file "
        "that is\n"
        "  cut off.\n"
        "- KD_ERR_NOT_FOUND, KD_ERR_IO; KD_ERR_RANGE: options; KD_ERR_FORMAT: more than 2^34 bytes."
    ),
    "kd_audio_from_bytes": (
        c_int32, [POINTER(c_void_p), c_void_p, c_void_p, c_int64, POINTER(kd_audio_options)],
        "The same of a file in memory; more than 2^34 bytes are KD_ERR_RANGE."
    ),
    "kd_audio_from_array": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array), c_int32],
        "A sound of the host's samples, (samples) or (samples, channels), copied as float32: intege"
        "rs are\n"
        "not scaled. KD_ERR_RANGE: the rate, more than two channels."
    ),
    "kd_audio_free": (
        None, [c_void_p],
        "A sound of the host's samples, (samples) or (samples, channels), copied as float32: intege"
        "rs are\n"
        "not scaled. KD_ERR_RANGE: the rate, more than two channels."
    ),
    "kd_audio_get_info": (
        c_int32, [c_void_p, POINTER(kd_audio_info)],
        ""
    ),
    "kd_audio_samples": (
        c_int32, [c_void_p, POINTER(kd_array)],
        "A view, (samples), or (samples, 2) of two channels; valid until the sound is resampled or"
        "\n"
        "freed."
    ),
    "kd_audio_save": (
        c_int32, [c_void_p, c_char_p, c_int32],
        "Writes a WAV file. dtype: KD_INT16 (to nearest, cut at -1 and 1) or KD_FLOAT32. What was r"
        "ead\n"
        "from such a file is written with the same numbers. KD_ERR_RANGE: 4 GiB and more."
    ),
    "kd_resample_options_init": (
        None, [POINTER(kd_resample_options), c_size_t],
        ""
    ),
    "kd_audio_resample": (
        c_int32, [c_void_p, c_int32, POINTER(kd_resample_options)],
        "Brings a sound to another rate: ceil(samples rate / old rate) samples, of which number j i"
        "s the\n"
        "sound at the time j / rate, through a windowed sinc [Smith, Digital Audio Resampling]; zer"
        "os\n"
        "before and after the sound. `options` may be NULL.\n"
        "- KD_ERR_RANGE: rates from 1 to KD_AUDIO_MAX_RATE; two rates whose filters need more than "
        "2^24\n"
        "  numbers. The sound is then unchanged."
    ),
    "kd_mel_options_init": (
        None, [POINTER(kd_mel_options), c_size_t],
        ""
    ),
    "kd_mel_get_preset": (
        c_int32, [c_char_p, POINTER(kd_mel_options)],
        "Fills all options (struct_size set) with what a model was trained on:\n"
        '- "whisper", "whisper-v3": Whisper\'s log-mel of 30 seconds, 80 and 128 bands (transposed '
        "there);\n"
        '- "ast": audio spectrogram transformers, 1024 frames of 128 bands;\n'
        '- "kaldi": the filter banks of Kaldi and torchaudio, 128 bands;\n'
        '- "google-speech-embedding": 32 bands from 60 to 3800 Hz;\n'
        '- "librosa": librosa\'s melspectrogram and power_to_db, 22050 Hz.\n'
        "KD_ERR_NOT_FOUND lists the names."
    ),
    "kd_mel_create": (
        c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_mel_options)],
        "Windows, bands and FFT of these options. KD_ERR_RANGE names an option out of bounds."
    ),
    "kd_mel_free": (
        None, [c_void_p],
        "Windows, bands and FFT of these options. KD_ERR_RANGE names an option out of bounds."
    ),
    "kd_mel_frame_count": (
        c_int32, [c_void_p, c_int64, POINTER(c_int64)],
        "How many frames a sound of `samples` samples has."
    ),
    "kd_mel_run": (
        c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)],
        "Spectrograms of sounds, one after the other: `samples` (samples) float32, of which sound i"
        " has\n"
        "offsets[i] .. offsets[i + 1] - 1; offsets: (sounds + 1) integers, or NULL for one sound. W"
        "rites\n"
        "`values`, the caller's contiguous float32 of (all frames, mels), also as (sounds, frames, "
        "mels)\n"
        "where all have as many. The bits depend on neither threads nor the other sounds.\n"
        "- KD_ERR_SHAPE: values of another size. KD_ERR_RANGE: offsets.\n"
        "- KD_ERR_NONFINITE: the first sound whose samples are not finite or too large."
    ),
    "kd_batch_set_mel": (
        c_int32, [
            c_void_p, c_char_p, c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array),
        ],
        "Sets a field of a batch to the spectrograms of its samples: (samples, frames, mels) where "
        "the\n"
        "options give `frames`, else ragged (kd_batch_set_ragged). offsets as above; NULL: a batch "
        "of one\n"
        "sample. `present` as in kd_batch_set_ragged."
    ),
    "kd_dataset_add_mel": (
        c_int32, [c_void_p, c_char_p, c_void_p, POINTER(kd_array), POINTER(kd_array)],
        "Adds a field (samples, frames, mels) to a dataset. KD_ERR_INVALID: the options give no `fr"
        "ames`.\n"
        "Errors of kd_mel_run and kd_dataset_add."
    ),
    "kd_compare_mcnemar": (
        c_int32, [POINTER(c_int32), POINTER(c_int32), c_int64, POINTER(kd_difference)],
        "One answer per question, (questions) 0 or 1: an exact binomial test over the questions on "
        "which\n"
        "the two differ. [McNemar 1947]"
    ),
    "kd_compare_runs": (
        c_int32, [
            c_void_p, POINTER(c_int32), POINTER(c_int32), c_int32, c_int64, c_int32,
            POINTER(kd_difference),
        ],
        "Compares two ways of training by several runs of each: (seeds, questions, samples) 0 or 1."
        " Run s\n"
        "of both has the same seed, and all runs answer the same questions. Seeds and questions are"
        "\n"
        "crossed random effects in an analysis of variance; the test is Student's t with Satterthwa"
        "ite's\n"
        "degrees of freedom. only_a and only_b count cells. [Cornfield and Tukey 1956, Satterthwait"
        "e 1946]\n"
        "- a NULL: b alone, its mean and error.\n"
        "- One seed: the error covers the questions alone, and p_value is NaN. One run of each does"
        " not\n"
        "  show how far a second run would be from it, so it says nothing about two ways of trainin"
        "g.\n"
        "- Two seeds are few: a difference that does not exist is found in up to one of eight cases"
        "\n"
        "  instead of one of twenty.\n"
        "- KD_ERR_RANGE: fewer than 1 seed, 2 questions or 1 sample; a number other than 0 and 1."
    ),
    "kd_compare_bootstrap": (
        c_int32, [
            c_void_p, POINTER(c_int32), POINTER(c_int32), c_int32, c_int64, c_int32, c_int32,
            c_uint64, POINTER(kd_difference),
        ],
        "The same figures by resampling: questions, and seeds if there are several, are drawn `resa"
        "mples`\n"
        "times (usually 10,000), the same draws for both models. The p-value is twice the share of"
        "\n"
        "resampled differences on the other side of 0, at least 1 / resamples. [Efron and Tibshiran"
        "i 1993]\n"
        "- One seed: the result is about these two models, not about how they were trained.\n"
        "- A few seeds: the error is too small; use kd_compare_runs."
    ),
    "kd_compare_recovery": (
        c_double, [c_double, c_double, c_double],
        "(student - baseline) / (teacher - baseline). 1: the student has all of the teacher's advan"
        "tage\n"
        "over the baseline; above 1: it exceeds the teacher. NaN if teacher and baseline are equal."
    ),
    "kd_compare_texts": (
        c_int32, [
            c_void_p, c_int32, POINTER(c_char_p), POINTER(c_char_p), c_int64, POINTER(c_double),
        ],
        "Compares each text with one reference. KD_TEXT_ROUGE_L takes time proportional to the prod"
        "uct of\n"
        "the two numbers of words (0.1 s for 50,000 and 50,000); the others are linear in the numbe"
        "r of\n"
        "bytes. KD_ERR_RANGE: count below 1, an unknown kind."
    ),
    "kd_plan_options_init": (
        None, [POINTER(kd_plan_options), c_size_t],
        ""
    ),
    "kd_plan_estimate": (
        c_int32, [c_void_p, POINTER(kd_plan_options), POINTER(kd_plan_info)],
        "Fills in a plan; pure arithmetic, beside the library's estimates of memory.\n"
        "- KD_ERR_INVALID: no student. KD_ERR_RANGE: a number out of bounds; flops is 0.\n"
        "- KD_ERR_CONFIG: a config that kd_model_create would refuse, too.\n"
        "- KD_ERR_UNSUPPORTED: a kind of network whose tokens are not counted here (images,\n"
        "  convolutions, towers, static embeddings); shared_gradients where kd_model_options refuse"
        "s."
    ),
    "kd_plan_to_text": (
        c_int32, [c_void_p, POINTER(kd_plan_info), POINTER(c_char_p)],
        "The plan as a text of lines, and what `advice` means; as one line of JSON. Freed by\n"
        "kd_context_free_text."
    ),
    "kd_plan_to_json": (
        c_int32, [c_void_p, POINTER(kd_plan_info), POINTER(c_char_p)],
        "The plan as a text of lines, and what `advice` means; as one line of JSON. Freed by\n"
        "kd_context_free_text."
    ),
    "kd_plan_measure_machine": (
        c_int32, [c_void_p, c_char_p, c_double, POINTER(kd_plan_machine)],
        "Measures products (kd_context_measure_matmul), steps of a small Llama (288 wide, 6 layers,"
        " 512\n"
        "tokens) for at most `seconds` (up to 60) and no less than two of them, whose medians tell "
        "passes\n"
        "and updates apart, and a file of 64 MiB in `folder` (NULL: no file), which is removed. A q"
        "uiet\n"
        "machine is the caller's business; where several ranks share one, all of them measure at on"
        "ce."
    ),
}
