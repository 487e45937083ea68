"""What the generator of the binding cannot read in the headers.

Which constants are an enumeration, which members hold one, and which members a wrapper takes in
another form. A constant that no pattern names ends the generator; so does a name here that no
header has.
"""

from __future__ import annotations

#: name: (base, pattern of its constants, what it is). Members lose the longest common prefix.
ENUMS = {
    "Status": ("IntEnum", r"KD_(OK|END|ERR_\w+)", "What a call returned."),
    "DType": ("IntEnum", r"KD_(B?FLOAT|U?INT)\d+", "Types of elements."),
    "LogLevel": ("IntEnum", r"KD_LOG_\w+", "Levels of log lines."),
    "Isa": ("IntEnum", r"KD_ISA_\w+", "Instruction sets of the library's kernels."),
    "Gemm": ("IntEnum", r"KD_GEMM_\w+", "Who computes matrix products."),
    "Products": ("IntEnum", r"KD_PRECISION_\w+", "In what numbers products are computed."),
    "Resample": ("IntEnum", r"KD_RESAMPLE_\w+", "Filters of a resize."),
    "Block": ("IntEnum", r"KD_BLOCK_\w+", "Formats of numbers in blocks."),
    "Mix": ("IntEnum", r"KD_MIX_\w+", "Which matrices of a GGUF file get more bits."),
    "Mode": ("IntEnum", r"KD_MODE_\w+", "What a forward pass is for."),
    "OutputUnit": ("IntEnum", r"KD_UNIT_OF_\w+", "What an output has one row for."),
    "LayerChoice": ("IntEnum", r"KD_LAYERS_\w+", "Which layer belongs to a student's layer."),
    "Align": ("IntEnum", r"KD_ALIGN_\w+", "Which row's label belongs to a row."),
    "Lookup": ("IntEnum", r"KD_LOOKUP_\w+", "How a teacher finds its answer."),
    "Missing": ("IntEnum", r"KD_MISSING_\w+", "What happens where a teacher has no answer."),
    "Mean": ("IntEnum", r"KD_MEAN_OF_\w+", "What an ensemble averages."),
    "SparseKind": ("IntEnum", r"KD_SPARSE_\w+", "Kinds of sparse targets."),
    "StoreKind": ("IntEnum", r"KD_STORE_\w+", "Kinds of fields in a store."),
    "Sync": ("IntEnum", r"KD_SYNC_\w+", "When a store's writer waits for the disk."),
    "ImportFormat": ("IntEnum", r"KD_IMPORT_\w+", "Whose answers are imported."),
    "TextFlag": ("IntFlag", r"KD_TOKENIZER_\w+", "How special tokens are treated."),
    "TokenFlag": ("IntFlag", r"KD_TOKEN_\w+", "What a token is."),
    "EndToken": ("IntEnum", r"KD_END_TOKEN_\w+", "In place of an end token's id."),
    "HashKind": ("IntEnum", r"KD_HASH_(TOKENIZER|TEMPLATE)", "What is hashed."),
    "ChatPrompt": ("IntEnum", r"KD_CHAT_PROMPT_\w+", "Where a chat's text ends."),
    "ChatFormat": ("IntEnum", r"KD_CHAT_(?!PROMPT_)\w+", "How chats are written."),
    "BadLines": ("IntEnum", r"KD_BAD_LINES_\w+", "What happens to broken lines."),
    "Members": ("IntEnum", r"KD_MEMBERS_\w+", "What happens to members that are not read."),
    "Reasoning": ("IntEnum", r"KD_REASONING_\w+", "Where an answer's reasoning goes."),
    "Draw": ("IntEnum", r"KD_DRAW_\w+", "How a token is drawn."),
    "StopReason": ("IntEnum", r"KD_STOP_\w+", "Why a text ended."),
    "Verifier": ("IntFlag", r"KD_VERIFY_\w+", "How an answer is compared."),
    "AnswerFormat": ("IntFlag", r"KD_FORMAT_\w+", "What an answer must keep to."),
    "LossKind": ("IntEnum", r"KD_LOSS_(?!MAX_)\w+", "Kinds of loss terms."),
    "T2": ("IntEnum", r"KD_T2_\w+", "Scaling of a term by the squared temperature."),
    "Tail": (
        "IntEnum",
        r"KD_TAIL_\w+",
        "What is assumed of the mass outside a sparse teacher's ids.",
    ),
    "Retemper": ("IntEnum", r"KD_RETEMPER_\w+", "A sparse teacher at another temperature."),
    "Correction": ("IntEnum", r"KD_CORRECT_\w+", "A teacher whose largest class is not the label."),
    "Nonfinite": ("IntEnum", r"KD_NONFINITE_\w+", "What happens to rows that are not finite."),
    "Count": ("IntEnum", r"KD_COUNT_\w+", "What denominators count."),
    "TermNumber": (
        "IntEnum",
        r"KD_TERM_\w+",
        "Numbers of a term that may change between calls.",
    ),
    "Normalize": ("IntEnum", r"KD_NORMALIZE_\w+", "What rows of features are normalized to."),
    "ProjectionStart": (
        "IntEnum",
        r"KD_PROJECTION_START_\w+",
        "How a projection begins.",
    ),
    "Projection": ("IntEnum", r"KD_PROJECTION_(?!START_)\w+", "Kinds of projections."),
    "PairDirection": ("IntEnum", r"KD_DIRECTION_\w+", "Which side of a pair finds the other."),
    "Positives": ("IntEnum", r"KD_POSITIVES_\w+", "What the other rows of a group are."),
    "Direction": ("IntEnum", r"KD_BETTER_\w+", "Which way a metric improves."),
    "BalanceKind": ("IntEnum", r"KD_BALANCE_\w+", "Where weights of tasks come from."),
    "OptimizerRule": ("IntEnum", r"KD_RULE_\w+", "Whose step a group of an optimizer takes."),
    "OptimizerKind": ("IntEnum", r"KD_OPTIMIZER_\w+", "Rules of optimization."),
    "OptimizerNumber": (
        "IntEnum",
        r"KD_STEP_\w+",
        "Numbers of an optimizer that may change between steps.",
    ),
    "Verdict": ("IntFlag", r"KD_MONITOR_\w+", "What a monitor says to a metric."),
    "MetricKind": ("IntEnum", r"KD_METRIC_\w+", "Kinds of metrics."),
    "RetrievalKind": ("IntEnum", r"KD_RETRIEVAL_\w+", "How retrieval is judged."),
    "CorrelationKind": ("IntEnum", r"KD_CORRELATION_\w+", "Kinds of correlation."),
    "PlanAdvice": ("IntFlag", r"KD_PLAN_\w+", "What the numbers of a plan say."),
    "Picture": ("IntEnum", r"KD_PICTURE_\w+", "How a series is drawn."),
    "RecipeKind": ("IntEnum", r"KD_RECIPE_\w+", "Ready numbers of a training run."),
    "FilterKind": ("IntEnum", r"KD_FILTER_\w+", "Kinds of filters."),
    "FilterNumber": (
        "IntEnum",
        r"KD_CURATION_\w+",
        "Numbers of a filter that may change between runs.",
    ),
    "Unit": ("IntEnum", r"KD_UNIT_(?!OF_)\w+", "In what a filter counts."),
    "Choose": ("IntEnum", r"KD_CHOOSE_\w+", "Which records of a prompt are the best."),
    "SincWindow": ("IntEnum", r"KD_SINC_\w+", "Windows of a sinc."),
    "Window": ("IntEnum", r"KD_WINDOW_\w+", "Windows of frames."),
    "Framing": ("IntEnum", r"KD_FRAMES_\w+", "Which samples a frame sees."),
    "MelScale": ("IntEnum", r"KD_MEL_SCALE_\w+", "Scales of mels."),
    "MelLog": ("IntEnum", r"KD_MEL_LOG_\w+", "Logarithms of mel spectrograms."),
    "MelNormalize": ("IntEnum", r"KD_MEL_NORMALIZE_\w+", "How levels are normalized."),
    "AugmentKind": ("IntEnum", r"KD_AUGMENT_\w+", "Ways to make more prompts."),
    "TextMetric": ("IntEnum", r"KD_TEXT_\w+", "Measures of texts against references."),
}

#: Constants that stay numbers of the module.
NUMBERS = r"KD_(VERSION_\w+|AUDIO_MAX_RATE|ARRAY_MAX_RANK|NAME_BYTES|LOSS_MAX_TERMS|HASH_BYTES)"

#: "struct.member" or "member": the enumeration that an int32_t of that name holds.
ENUM_MEMBERS = {
    "activations": "DType",
    "align": "Align",
    "generation_prompt": "ChatPrompt",
    "bad_lines": "BadLines",
    "better": "Direction",
    "cache": "DType",
    "chat": "ChatFormat",
    "correction": "Correction",
    "dtype": "DType",
    "encoding": "DType",
    "gemm": "Gemm",
    "isa": "Isa",
    "framing": "Framing",
    "kd_chat_options.format": "ChatFormat",
    "kd_filter_options.choose": "Choose",
    "kd_mel_options.log": "MelLog",
    "kd_mel_options.normalize": "MelNormalize",
    "kd_mel_options.scale": "MelScale",
    "kd_mel_options.window": "Window",
    "kd_output_info.unit": "OutputUnit",
    "kd_projection_options.kind": "Projection",
    "kd_projection_options.start": "ProjectionStart",
    "kd_pair_options.directions": "PairDirection",
    "kd_pair_options.positives": "Positives",
    "kd_resample_options.window": "SincWindow",
    "kd_sparse.kind": "SparseKind",
    "kd_plan_info.advice": "PlanAdvice",
    "kd_plan_options.kind": "StoreKind",
    "kd_plan_options.wire": "DType",
    "kd_group_options.rule": "OptimizerRule",
    "kd_sampling.draw": "Draw",
    "kd_store_field.kind": "StoreKind",
    "kd_student_options.choose": "LayerChoice",
    "kd_term_options.count": "Count",
    "kd_verify_options.format": "AnswerFormat",
    "level": "LogLevel",
    "resample": "Resample",
    "lookup": "Lookup",
    "mean": "Mean",
    "moments": "DType",
    "missing": "Missing",
    "mixture": "Mix",
    "nonfinite": "Nonfinite",
    "optimizer": "OptimizerKind",
    "matmul_precision": "Products",
    "reason": "StopReason",
    "reasoning": "Reasoning",
    "retemper": "Retemper",
    "sync": "Sync",
    "t2": "T2",
    "tail": "Tail",
    "unknown": "Members",
    "unsupported": "Members",
    "verifiers": "Verifier",
    "weights": "DType",
    "wire": "DType",
}

#: Members beside the enumeration's values mean something else (-1: the default).
PLAIN_MEMBERS = {
    "kd_filter_options.unit",
    "kd_generator_options.lookup",
    "kd_plan_options.kind",
    "kd_store_open_options.align",
}

#: Members that a wrapper takes as a parameter of its own, in Python's form.
SPELLED_OUT = {
    "kd_augment_options.kind",
    "kd_chat_options.tools",
    "kd_chat_options.variables",
    "kd_csv_options.separator",
    "kd_gguf_options.importance",
    "kd_gguf_options.rule_count",
    "kd_gguf_options.rules",
    "kd_plan_options.student",
    "kd_plan_options.teacher",
    "kd_student_options.config",
}

#: enumeration of numbers: (struct of options that has its own keywords, numbers that are no keyword
#: beside them)
SETTINGS = {
    "TermNumber": ("kd_term_options", {"weight", "temperature"}),
    "FilterNumber": ("kd_filter_options", set()),
}

#: Structs with an _init function whose members are not options.
NO_OPTIONS = {"kd_record"}

#: Structs that the library fills and that have a class of their own in a noun's file.
OWN_CLASS = {"kd_recipe", "kd_loss_counts", "kd_funnel"}
