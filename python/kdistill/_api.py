"""Made by python/generate.py from the headers. Do not edit."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p)

KD_VERSION_MAJOR = 0
KD_VERSION_MINOR = 1
KD_VERSION_PATCH = 0
KD_OK = 0
KD_END = 1
KD_ERR_INVALID = -1
KD_ERR_MEMORY = -2
KD_ERR_SHAPE = -3
KD_ERR_DTYPE = -4
KD_ERR_RANGE = -5
KD_ERR_NOT_FOUND = -6
KD_ERR_IO = -7
KD_ERR_FORMAT = -8
KD_ERR_VERSION = -9
KD_ERR_CONFIG = -10
KD_ERR_NONFINITE = -11
KD_ERR_STATE = -12
KD_ERR_CANCELLED = -13
KD_ERR_CALLBACK = -14
KD_ERR_UNSUPPORTED = -15
KD_ERR_MISMATCH = -16
KD_ERR_THREAD = -17
KD_FLOAT32 = 1
KD_FLOAT64 = 2
KD_FLOAT16 = 3
KD_BFLOAT16 = 4
KD_INT8 = 5
KD_INT16 = 6
KD_INT32 = 7
KD_INT64 = 8
KD_UINT8 = 9
KD_UINT16 = 10
KD_UINT32 = 11
KD_UINT64 = 12
KD_MAX_RANK = 8
KD_LOG_ERROR = 1
KD_LOG_WARNING = 2
KD_LOG_INFO = 3
KD_ISA_AUTO = 0
KD_ISA_PORTABLE = 1
KD_ISA_AVX2 = 2
KD_ISA_AVX512 = 3
KD_GEMM_AUTO = 0
KD_GEMM_BLAS = 1
KD_GEMM_OWN = 2
KD_PRODUCTS_FLOAT32 = 0
KD_PRODUCTS_BFLOAT16 = 1
KD_PRODUCTS_MEASURED = 2
KD_MAX_NAME = 64
KD_EVALUATE = 0
KD_TRAIN = 1
KD_LAYERS_UNIFORM = 0
KD_LAYERS_FIRST = 1
KD_LAYERS_LAST = 2
KD_ALIGN_SAME = 0
KD_ALIGN_NEXT = 1
KD_BY_INDEX = 0
KD_BY_KEY = 1
KD_MISSING_ERROR = 0
KD_MISSING_ABSENT = 1
KD_MEAN_OF_PROBABILITIES = 0
KD_MEAN_OF_LOGITS = 1
KD_SPARSE_TOPK = 0
KD_SPARSE_COUNTS = 1
KD_STORE_DENSE = 1
KD_STORE_TOPK = 2
KD_STORE_COUNTS = 3
KD_STORE_HIDDEN = 4
KD_STORE_VECTORS = 5
KD_STORE_LABELS = 6
KD_STORE_TEXT = 7
KD_STORE_SCORE = 8
KD_STORE_SEED = 9
KD_SYNC_NEVER = 0
KD_SYNC_CLOSE = 1
KD_SYNC_COMMIT = 2
KD_IMPORT_OPENAI = 1
KD_IMPORT_VLLM = 2
KD_IMPORT_FLAT = 3
KD_ADD_SPECIAL = 1
KD_SKIP_SPECIAL = 2
KD_TOKEN_SPECIAL = 1
KD_TOKEN_ADDED = 2
KD_CHAT_AUTO = 0
KD_CHAT_CHATML = 1
KD_CHAT_LLAMA3 = 2
KD_CHAT_LLAMA2 = 3
KD_CHAT_DEEPSEEK = 4
KD_BAD_LINES_REFUSE = 0
KD_BAD_LINES_SKIP = 1
KD_STOP_LENGTH = 0
KD_STOP_TOKEN = 1
KD_STOP_TEXT = 2
KD_STOP_HOST = 3
KD_VERIFY_EXACT = 1
KD_VERIFY_NORMALISED = 2
KD_VERIFY_NUMBER = 4
KD_VERIFY_CHOICE = 8
KD_VERIFY_LATEX = 16
KD_VERIFY_PATTERN = 32
KD_VERIFY_HOST = 64
KD_FORMAT_THINK = 1
KD_FORMAT_BOXED = 2
KD_LOSS_CROSS_ENTROPY = 1
KD_LOSS_FORWARD_KL = 2
KD_LOSS_REVERSE_KL = 3
KD_LOSS_JSD = 4
KD_LOSS_LOGIT_MSE = 5
KD_LOSS_DKD = 6
KD_LOSS_BINARY_CROSS_ENTROPY = 7
KD_LOSS_BINARY_KL = 8
KD_LOSS_MEAN_SQUARED_ERROR = 9
KD_LOSS_HUBER = 10
KD_LOSS_SKEWED_FORWARD_KL = 11
KD_LOSS_SKEWED_REVERSE_KL = 12
KD_LOSS_TOTAL_VARIATION = 13
KD_LOSS_ALPHA_BETA = 14
KD_LOSS_ADAPTIVE_KL = 15
KD_LOSS_TAID = 16
KD_LOSS_STANDARDISED_KL = 17
KD_LOSS_DIST = 18
KD_LOSS_ULD = 19
KD_LOSS_POLICY_GRADIENT = 20
KD_T2_DEFAULT = 0
KD_T2_ON = 1
KD_T2_OFF = 2
KD_TAIL_BUCKET = 0
KD_TAIL_UNIFORM = 1
KD_TAIL_RENORM_TEACHER = 2
KD_TAIL_RENORM_BOTH = 3
KD_TAIL_TRUNCATE = 4
KD_RETEMPER_EXACT = 0
KD_RETEMPER_UNIFORM = 1
KD_CORRECT_NONE = 0
KD_CORRECT_DROP = 1
KD_CORRECT_SWAP = 2
KD_CORRECT_MIX = 3
KD_NONFINITE_REFUSE = 0
KD_NONFINITE_SKIP = 1
KD_COUNT_ROWS = 0
KD_COUNT_WEIGHTS = 1
KD_LOSS_MAX_TERMS = 64
KD_TEMPERATURE = 1
KD_WEIGHT = 2
KD_LABEL_SMOOTHING = 3
KD_TEACHER_SHARE = 4
KD_DKD_ALPHA = 5
KD_DKD_BETA = 6
KD_HUBER_DELTA = 7
KD_SKEW = 8
KD_AB_ALPHA = 9
KD_AB_BETA = 10
KD_HEAD_MASS = 11
KD_PROGRESS = 12
KD_CONFIDENCE_POWER = 13
KD_LOWER_IS_BETTER = 0
KD_HIGHER_IS_BETTER = 1
KD_SGD = 1
KD_ADAMW = 2
KD_ADAM = 3
KD_GRADIENT_SCALE = 1
KD_WEIGHT_DECAY = 2
KD_CLIP_NORM = 3
KD_CLIP_VALUE = 4
KD_MAX_NORM = 5
KD_MOMENTUM = 6
KD_AVERAGE_DECAY = 7
KD_MONITOR_IMPROVED = 1
KD_MONITOR_STOP = 2
KD_METRIC_ACCURACY = 1
KD_METRIC_TOP_K = 2
KD_METRIC_MACRO_F1 = 3
KD_METRIC_NLL = 4
KD_METRIC_ECE = 5
KD_METRIC_AGREEMENT = 6
KD_METRIC_TEACHER_KL = 7
KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG = 8
KD_METRIC_ROWS = 9
KD_PICTURE_LINES = 0
KD_PICTURE_POINTS = 1
KD_PICTURE_BARS = 2
KD_CHAT_PLAIN = -1
KD_RECIPE_R1 = 1
KD_RECIPE_MIXED = 2
KD_RECIPE_SMALL = 3
KD_FILTER_LENGTH = 1
KD_FILTER_REPETITION = 2
KD_FILTER_SCRIPTS = 3
KD_FILTER_MARKUP = 4
KD_FILTER_PARAGRAPHS = 5
KD_FILTER_DUPLICATES = 6
KD_FILTER_NEAR_DUPLICATES = 7
KD_FILTER_CONTAMINATION = 8
KD_FILTER_VERIFY = 9
KD_FILTER_SCORE = 10
KD_FILTER_HOST = 11
KD_FILTER_PASS_RATE = 12
KD_FILTER_BEST = 13
KD_FILTER_BALANCE = 14
KD_FILTER_LENGTH_MIX = 15
KD_FILTER_AGREEMENT = 16
KD_FILTER_SAMPLE = 17
KD_FILTER_LANGUAGES = 18
KD_UNIT_BYTES = 0
KD_UNIT_WORDS = 1
KD_UNIT_TOKENS = 2
KD_UNIT_RECORDS = 3
KD_CHOOSE_SCORE = 0
KD_CHOOSE_SHORTEST = 1
KD_CHOOSE_VARIED = 2
KD_AUGMENT_NUMBERS = 1
KD_AUGMENT_TEMPLATES = 2
KD_AUGMENT_ANSWERS = 3
KD_TEXT_BLEU = 1
KD_TEXT_CHRF = 2
KD_TEXT_ROUGE_L = 3
KD_TEXT_F1 = 4
KD_TEXT_EXACT = 5
KD_TEXT_MACRO_F1 = 6


class kd_array(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("dims", c_int64 * KD_MAX_RANK),
        ("strides", c_int64 * KD_MAX_RANK),
        ("device", c_int32),
        ("reserved0", c_int32),
        ("reserved", c_uint64 * 3),
    ]


class kd_allocator(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("allocate", CFUNCTYPE(c_void_p, c_void_p, c_size_t)),
        ("reallocate", CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_size_t, c_size_t)),
        ("release", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
    ]


class kd_logger(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("level", c_int32),
        ("user", c_void_p),
        ("log", CFUNCTYPE(None, c_void_p, c_int32, c_char_p)),
    ]


class kd_progress(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("progress", CFUNCTYPE(c_int32, c_void_p, c_char_p, c_int64, c_int64)),
    ]


class kd_matmul(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("matmul", CFUNCTYPE(c_int32, c_void_p, c_int32, c_int32, c_int64, c_int64, c_int64, c_float, POINTER(c_float), c_int64, POINTER(c_float), c_int64, c_float, POINTER(c_float), c_int64)),
    ]


class kd_context_options(Structure):
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
        ("products", c_int32),
        ("reserved", c_int32),
    ]


class kd_context_info(Structure):
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
        ("products", c_int32),
        ("reserved2", c_int32),
    ]


class kd_dataset_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
    ]


class kd_field_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("scale", c_double),
        ("shift", c_double),
        ("present", POINTER(kd_array)),
    ]


class kd_csv_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("separator", c_int32),
        ("header", c_int32),
        ("label_column", c_int32),
    ]


class kd_pseudo_label_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("batch_size", c_int32),
        ("threshold", c_double),
        ("per_class", c_int64),
        ("balance", c_int32),
        ("reserved", c_int32),
        ("field", c_char_p),
    ]


class kd_pseudo_label_counts(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("classes", c_int32),
        ("came", c_int64),
        ("below_threshold", c_int64),
        ("over_balance", c_int64),
        ("without_teacher", c_int64),
        ("kept", c_int64),
    ]


class kd_loader_options(Structure):
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
    ]


class kd_batch_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
    ]


class kd_model_options(Structure):
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
        ("reserved", c_int32),
    ]


class kd_model_save_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("expand", c_int32),
        ("reserved", c_int32),
        ("shard_bytes", c_int64),
    ]


class kd_model_memory_info(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("parameters", c_int64),
        ("parameter_bytes", c_int64),
        ("gradient_bytes", c_int64),
        ("activation_bytes", c_int64),
        ("total_bytes", c_int64),
    ]


class kd_student_options(Structure):
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


class kd_lora_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_int32),
        ("alpha", c_double),
        ("seed", c_uint64),
    ]


class kd_teacher_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("lookup", c_int32),
        ("missing", c_int32),
        ("any_view", c_int32),
        ("name", c_char_p),
    ]


class kd_ensemble_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("mean", c_int32),
        ("weights", POINTER(c_double)),
        ("temperature", c_double),
        ("field", c_char_p),
    ]


class kd_teacher_callbacks(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("user", c_void_p),
        ("read", CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p)),
        ("destroy", CFUNCTYPE(None, c_void_p)),
    ]


class kd_targets_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
    ]


class kd_sparse(Structure):
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


class kd_head(Structure):
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


class kd_store_field(Structure):
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


class kd_store_options(Structure):
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


class kd_store_open_options(Structure):
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
    ]


class kd_store_info(Structure):
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


class kd_store_record(Structure):
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


class kd_import_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("byte_level", c_int32),
        ("field", c_char_p),
        ("token_table", c_char_p),
        ("most_unmapped", c_double),
        ("k", c_int64),
        ("positions", c_int64),
    ]


class kd_import_counts(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("lines", c_int64),
        ("records", c_int64),
        ("positions", c_int64),
        ("entries", c_int64),
        ("unmapped", c_int64),
        ("absent", c_int64),
        ("doubled", c_int64),
    ]


class kd_message(Structure):
    _fields_ = [
        ("role", c_char_p),
        ("content", c_char_p),
    ]


class kd_chat_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_int32),
        ("ask", c_int32),
        ("keep_reasoning", c_int32),
    ]


class kd_record(Structure):
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
    ]


class kd_record_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("bad_lines", c_int32),
        ("line_bytes", c_int64),
        ("prompt_field", c_char_p),
        ("completion_field", c_char_p),
        ("expected_field", c_char_p),
        ("domain_field", c_char_p),
    ]


class kd_record_counts(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("files", c_int32),
        ("lines", c_int64),
        ("records", c_int64),
        ("empty", c_int64),
        ("bad", c_int64),
        ("first_bad_line", c_int64),
        ("bytes", c_int64),
    ]


class kd_record_writer_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("append", c_int32),
    ]


class kd_generator_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("max_sequences", c_int32),
        ("cache_tokens", c_int64),
        ("prompt_rows", c_int32),
        ("weights", c_int32),
        ("tokenizer", c_void_p),
        ("cache", c_int32),
        ("reserved", c_int32),
    ]


class kd_sampling(Structure):
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
        ("reserved", c_int32),
    ]


class kd_generated(Structure):
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


class kd_generator_info(Structure):
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
    ]


class kd_beam_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("beams", c_int32),
        ("max_tokens", c_int32),
        ("stop_token", c_int32),
        ("length_penalty", c_double),
    ]


class kd_verify_options(Structure):
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


class kd_pass(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("questions", c_int64),
        ("pass_1", c_double),
        ("standard_error", c_double),
        ("within_error", c_double),
        ("pass_k", c_double),
    ]


class kd_loss_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("memory_limit", c_int64),
        ("skip_bound", c_double),
    ]


class kd_term_options(Structure):
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
        ("label_smoothing", c_double),
        ("teacher_share", c_double),
        ("dkd_alpha", c_double),
        ("dkd_beta", c_double),
        ("huber_delta", c_double),
        ("log_floor", c_double),
        ("ignore_label", c_int64),
        ("tail", c_int32),
        ("retemper", c_int32),
        ("normalised", c_int32),
        ("detach_mixture", c_int32),
        ("correction", c_int32),
        ("reserved", c_int32),
        ("skew", c_double),
        ("ab_alpha", c_double),
        ("ab_beta", c_double),
        ("head_mass", c_double),
        ("progress", c_double),
        ("confidence_power", c_double),
    ]


class kd_loss_counts(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("terms", c_int32),
        ("rows", c_int64 * KD_LOSS_MAX_TERMS),
        ("weights", c_double * KD_LOSS_MAX_TERMS),
    ]


class kd_loss_result(Structure):
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


class kd_loss_output(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("accumulate", c_int32),
        ("name", c_char_p),
        ("value", POINTER(kd_array)),
        ("gradient", POINTER(kd_array)),
        ("head", POINTER(kd_head)),
    ]


class kd_loss_diagnostics(Structure):
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
    ]


class kd_plateau_options(Structure):
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


class kd_taid_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("from", c_double),
        ("to", c_double),
        ("rate", c_double),
        ("momentum", c_double),
        ("steps", c_int64),
    ]


class kd_optimizer_options(Structure):
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
    ]


class kd_group_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("frozen", c_int32),
        ("learning_rate", c_double),
        ("weight_decay", c_double),
        ("max_norm", c_double),
    ]


class kd_optimizer_info(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("last_skipped", c_int32),
        ("steps", c_int64),
        ("skipped", c_int64),
        ("clipped", c_int64),
        ("gradient_norm", c_double),
    ]


class kd_monitor_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("better", c_int32),
        ("patience", c_int32),
        ("keep_best", c_int32),
        ("min_change", c_double),
    ]


class kd_metrics_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("top_k", c_int32),
        ("calibration_bins", c_int32),
        ("bootstrap", c_int32),
        ("seed", c_uint64),
    ]


class kd_metric(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("value", c_double),
        ("standard_error", c_double),
        ("low", c_double),
        ("high", c_double),
        ("rows", c_int64),
    ]


class kd_latency(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("batch_size", c_int32),
        ("runs", c_int64),
        ("mean", c_double),
        ("p50", c_double),
        ("p90", c_double),
        ("p99", c_double),
        ("least", c_double),
        ("samples_per_second", c_double),
    ]


class kd_packer_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("chat", c_int32),
        ("batch_tokens", c_int64),
        ("max_tokens", c_int64),
        ("end_token", c_int32),
        ("whole", c_int32),
        ("batch_texts", c_int64),
        ("seed", c_uint64),
    ]


class kd_packer_info(Structure):
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


class kd_recipe(Structure):
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


class kd_answers_progress(Structure):
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


class kd_answers_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("chat", c_int32),
        ("window", c_int32),
        ("prompts", c_int64),
        ("sampling", POINTER(kd_sampling)),
        ("function", c_void_p),
        ("user", c_void_p),
        ("verify", POINTER(kd_verify_options)),
        ("teacher", c_char_p),
        ("progress", CFUNCTYPE(c_int32, c_void_p, POINTER(kd_answers_progress))),
        ("progress_user", c_void_p),
    ]


class kd_answers_result(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("samples", c_int32),
        ("questions", c_int64),
        ("pass", kd_pass),
        ("consensus", c_double),
        ("format_errors", c_double),
        ("unfinished", c_double),
        ("mean_bytes", c_double),
        ("mean_right_bytes", c_double),
    ]


class kd_filter_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("n", c_int32),
        ("unit", c_int32),
        ("choose", c_int32),
        ("low", c_int64),
        ("high", c_int64),
        ("threshold", c_double),
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


class kd_curation_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("seed", c_uint64),
        ("validation", c_double),
        ("tokenizer", c_void_p),
    ]


class kd_funnel(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reasons", c_int32),
        ("name", c_char_p),
        ("came", c_int64),
        ("dropped", c_int64),
        ("kept", c_int64),
        ("kept_bytes", c_int64),
        ("kept_prompts", c_int64),
    ]


class kd_augment_options(Structure):
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


class kd_augment_counts(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("read", c_int64),
        ("written", c_int64),
        ("known", c_int64),
        ("refused", c_int64),
        ("passed_over", c_int64),
    ]


class kd_difference(Structure):
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


class kd_speed_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("sequences", c_int32),
        ("prompt_tokens", c_int32),
        ("new_tokens", c_int32),
        ("repeats", c_int32),
        ("weights", c_int32),
        ("reserved", c_int32),
    ]


class kd_speed(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("sequences", c_int32),
        ("prompt_tokens_per_second", c_double),
        ("tokens_per_second", c_double),
        ("first_token", c_double),
        ("token_p50", c_double),
        ("token_p99", c_double),
        ("parameter_bytes", c_int64),
        ("cache_bytes", c_int64),
        ("peak_bytes", c_int64),
    ]


class kd_model_facts(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("layers", c_int32),
        ("parameters", c_int64),
        ("active", c_int64),
        ("memory_bytes", c_int64),
        ("float32_bytes", c_int64),
        ("float16_bytes", c_int64),
        ("int8_bytes", c_int64),
    ]


class kd_checkpoint_options(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("sync", c_int32),
    ]


STRUCTS = [kd_array, kd_allocator, kd_logger, kd_progress, kd_matmul, kd_context_options, kd_context_info, kd_dataset_options, kd_field_options, kd_csv_options, kd_pseudo_label_options, kd_pseudo_label_counts, kd_loader_options, kd_batch_options, kd_model_options, kd_model_save_options, kd_model_memory_info, kd_student_options, kd_lora_options, kd_teacher_options, kd_ensemble_options, kd_teacher_callbacks, kd_targets_options, kd_sparse, kd_head, kd_store_field, kd_store_options, kd_store_open_options, kd_store_info, kd_store_record, kd_import_options, kd_import_counts, kd_message, kd_chat_options, kd_record, kd_record_options, kd_record_counts, kd_record_writer_options, kd_generator_options, kd_sampling, kd_generated, kd_generator_info, kd_beam_options, kd_verify_options, kd_pass, kd_loss_options, kd_term_options, kd_loss_counts, kd_loss_result, kd_loss_output, kd_loss_diagnostics, kd_plateau_options, kd_taid_options, kd_optimizer_options, kd_group_options, kd_optimizer_info, kd_monitor_options, kd_metrics_options, kd_metric, kd_latency, kd_packer_options, kd_packer_info, kd_recipe, kd_answers_progress, kd_answers_options, kd_answers_result, kd_filter_options, kd_curation_options, kd_funnel, kd_augment_options, kd_augment_counts, kd_difference, kd_speed_options, kd_speed, kd_model_facts, kd_checkpoint_options]

#: name: (result, argument types, the header's comment)
FUNCTIONS = {
    "kd_last_error": (c_char_p, [], 'The message of the last error on this thread: what was expected and what came. Never NULL, "" when\nnothing failed yet. It lives in a fixed buffer of the thread until the next failing call.'),
    "kd_status_name": (c_char_p, [c_int32], 'The name of a status ("KD_ERR_SHAPE"); "unknown status" for any other number. Static text.'),
    "kd_version": (c_int32, [], 'The version of the library at run time, as KD_VERSION_NUMBER (major * 10000 + minor * 100 + patch).'),
    "kd_build_info": (c_char_p, [], 'How the library was built: one line, "kdistill 0.1.0; blas openblas; zlib yes; compiler ..." Static.'),
    "kd_set_error": (c_int32, [c_int32, c_char_p], "A callback that failed calls this before it returns a negative status, so that the library's caller\nsees the reason. `message` is copied, cut at 400 bytes. Returns `status`."),
    "kd_array_init": (c_int32, [POINTER(kd_array), c_void_p, c_int32, c_int32, POINTER(c_int64)], 'Describes a contiguous array: data, dtype and `rank` dims. KD_ERR_INVALID for an unknown dtype, a rank\nabove KD_MAX_RANK or a negative dim; KD_ERR_RANGE when the number of bytes does not fit in int64.'),
    "kd_array_count": (c_int64, [POINTER(kd_array)], 'Number of elements, -1 for a description that is not valid.'),
    "kd_dtype_size": (c_size_t, [c_int32], 'Bytes of one element of a dtype; 0 for an unknown one.'),
    "kd_context_options_init": (None, [POINTER(kd_context_options), c_size_t], ''),
    "kd_context_create": (c_int32, [POINTER(c_void_p), POINTER(kd_context_options)], 'Creates a context. NULL options: defaults. Threads start at the first parallel work.\nErrors: KD_ERR_MEMORY, KD_ERR_RANGE (threads outside 0 to 1024, gemm, products), KD_ERR_UNSUPPORTED (isa),\nKD_ERR_INVALID (products beside a matmul).'),
    "kd_context_free": (None, [c_void_p], 'Creates a context. NULL options: defaults. Threads start at the first parallel work.\nErrors: KD_ERR_MEMORY, KD_ERR_RANGE (threads outside 0 to 1024, gemm, products), KD_ERR_UNSUPPORTED (isa),\nKD_ERR_INVALID (products beside a matmul).'),
    "kd_context_get_info": (c_int32, [c_void_p, POINTER(kd_context_info)], ''),
    "kd_context_set_blas_threads": (c_int32, [c_void_p, c_int32], 'Sets the number of threads of the BLAS library: for the whole process, every other user of BLAS included. With 1\nthe library cuts products into tiles and runs them on its own pool: fast, and the same bits for any number of\nthreads. KD_ERR_UNSUPPORTED where this BLAS has no such call. threads: 1 to 1024.'),
    "kd_context_measure_products": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_double)], "Operations a second (a multiplication and an addition are two) of a product 192 x 768 x 768 on the context's threads, in float32 as\nthis context computes it and in bfloat16, the best of six each: some tens of milliseconds."),
    "kd_context_cancel": (c_int32, [c_void_p, c_int32], 'Asks every running and future call that checks for it to end with KD_ERR_CANCELLED (on = 1), or not any more\n(on = 0). May be called from any thread, and from a signal handler.'),
    "kd_context_matmul": (c_int32, [c_void_p, c_int32, c_int32, c_int64, c_int64, c_int64, c_float, POINTER(c_float), c_int64, POINTER(c_float), c_int64, c_float, POINTER(c_float), c_int64], 'One matrix product as the library computes it; arguments as in kd_matmul. For measuring, and for hosts that want\nthe same bits. Needs k >= 1; lda, ldb, ldc at least the row length.'),
    "kd_dataset_options_init": (None, [POINTER(kd_dataset_options), c_size_t], ''),
    "kd_field_options_init": (None, [POINTER(kd_field_options), c_size_t], ''),
    "kd_dataset_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_dataset_options)], 'An empty dataset; the first field fixes the number of samples.'),
    "kd_dataset_free": (None, [c_void_p], 'An empty dataset; the first field fixes the number of samples.'),
    "kd_dataset_add": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_field_options)], 'Adds a field from an array (samples, ...): any dtype but float16 and bfloat16, any strides; copied.\nThe borrow form keeps the pointer: contiguous, alive and unchanged until the dataset is freed.\nErrors: KD_ERR_SHAPE (other number of samples), KD_ERR_INVALID (name taken, empty or too long).'),
    "kd_dataset_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_field_options)], 'Adds a field from an array (samples, ...): any dtype but float16 and bfloat16, any strides; copied.\nThe borrow form keeps the pointer: contiguous, alive and unchanged until the dataset is freed.\nErrors: KD_ERR_SHAPE (other number of samples), KD_ERR_INVALID (name taken, empty or too long).'),
    "kd_dataset_add_file": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_field_options)], 'Adds a field from an IDX or npy file, plain or gzip; the format is told by its first bytes.\nErrors: KD_ERR_NOT_FOUND, KD_ERR_IO, KD_ERR_FORMAT (truncated, sizes that lie), as kd_dataset_add otherwise.'),
    "kd_dataset_load_idx": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, c_char_p, POINTER(kd_dataset_options)], 'Loads a folder of IDX files as MNIST names them: <part>-images-idx3-ubyte[.gz] as "inputs" (scaled to 0..1) and\n<part>-labels-idx1-ubyte[.gz] as "label". part: "train" or "t10k".'),
    "kd_csv_options_init": (None, [POINTER(kd_csv_options), c_size_t], ''),
    "kd_dataset_load_csv": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_csv_options)], 'Loads numbers from a CSV file (RFC 4180, plain or gzip): "inputs" (samples, columns) float32 and "label" int64. An empty\nlabel means that the sample has none. KD_ERR_FORMAT names the line and column of what is not a number.'),
    "kd_dataset_select": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array)], 'New dataset of the samples whose numbers are given ((n) int64, repeats allowed). The fields are copied.'),
    "kd_dataset_concat": (c_int32, [POINTER(c_void_p), POINTER(c_void_p), c_int32], 'New dataset of all samples of `parts` in order. Fields are joined by name and must agree in dtype, shape, scale and\nshift; a part without a field leaves it absent there: a labelled and an unlabelled part become one dataset.'),
    "kd_dataset_samples": (c_int32, [c_void_p, POINTER(c_int64)], "Facts. A field's view stays valid until the dataset is freed or gets another field of the same name.\n`present` is (samples) uint8, data NULL when every sample has the field. KD_ERR_NOT_FOUND for an unknown name."),
    "kd_dataset_fields": (c_int32, [c_void_p, POINTER(c_int32)], "Facts. A field's view stays valid until the dataset is freed or gets another field of the same name.\n`present` is (samples) uint8, data NULL when every sample has the field. KD_ERR_NOT_FOUND for an unknown name."),
    "kd_dataset_field_name": (c_int32, [c_void_p, c_int32, POINTER(c_char_p)], "Facts. A field's view stays valid until the dataset is freed or gets another field of the same name.\n`present` is (samples) uint8, data NULL when every sample has the field. KD_ERR_NOT_FOUND for an unknown name."),
    "kd_dataset_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], "Facts. A field's view stays valid until the dataset is freed or gets another field of the same name.\n`present` is (samples) uint8, data NULL when every sample has the field. KD_ERR_NOT_FOUND for an unknown name."),
    "kd_dataset_key": (c_int32, [c_void_p, c_int64, POINTER(c_uint64)], 'The key of a sample: two 64-bit words.'),
    "kd_pseudo_label_options_init": (None, [POINTER(kd_pseudo_label_options), c_size_t], ''),
    "kd_dataset_pseudo_label": (c_int32, [POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_pseudo_label_options), POINTER(kd_pseudo_label_counts)], 'New dataset of the samples that the teacher labels with enough confidence: the fields of `dataset` but for "label",\nwhich holds the teacher\'s argmax, and "confidence" (float32), its probability. The order is kept. counts may be NULL.'),
    "kd_loader_options_init": (None, [POINTER(kd_loader_options), c_size_t], ''),
    "kd_loader_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_loader_options)], 'A loader over a dataset. Augmentation moves the last two axes of "inputs" (rank 3: N,H,W or 4: N,C,H,W) and depends\non (seed, sample, epoch) alone. Errors: KD_ERR_RANGE, KD_ERR_SHAPE (augmentation of what is no image).'),
    "kd_loader_free": (None, [c_void_p], 'A loader over a dataset. Augmentation moves the last two axes of "inputs" (rank 3: N,H,W or 4: N,C,H,W) and depends\non (seed, sample, epoch) alone. Errors: KD_ERR_RANGE, KD_ERR_SHAPE (augmentation of what is no image).'),
    "kd_loader_next": (c_int32, [c_void_p, c_void_p], 'Fills `batch` with the next samples. KD_OK, or KD_END after `epochs` passes; the call after KD_END begins the next pass.'),
    "kd_loader_position": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int64), POINTER(c_int64)], 'Where the loader stands: passes begun before this one, samples given out in this one, batches in a pass.'),
    "kd_loader_seek": (c_int32, [c_void_p, c_int64], 'Goes to the beginning of a pass.'),
    "kd_batch_options_init": (None, [POINTER(kd_batch_options), c_size_t], ''),
    "kd_batch_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_batch_options)], 'An empty batch. It is filled by a loader, or by the host with kd_batch_set.'),
    "kd_batch_free": (None, [c_void_p], 'An empty batch. It is filled by a loader, or by the host with kd_batch_set.'),
    "kd_batch_begin": (c_int32, [c_void_p, c_int64], "Starts a batch of the host's own: `samples` samples of one row each; fields, keys and presence are forgotten."),
    "kd_batch_begin_packed": (c_int32, [c_void_p, POINTER(kd_array)], 'The same for packed sequences: sample i has the rows offsets[i] .. offsets[i + 1] - 1; (samples + 1) integers from 0, never\nfalling. Fields have one entry a row.'),
    "kd_batch_set": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], "Sets a field (rows, ...) from the host's array, copied as float32 or int64; `present` ((rows) uint8) may be NULL.\nThe borrow form keeps the pointers until the batch begins anew: contiguous float32 or int64."),
    "kd_batch_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], "Sets a field (rows, ...) from the host's array, copied as float32 or int64; `present` ((rows) uint8) may be NULL.\nThe borrow form keeps the pointers until the batch begins anew: contiguous float32 or int64."),
    "kd_batch_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], 'Views of what the batch holds, valid until it is filled again. data of `present` is NULL when every row has it.'),
    "kd_batch_size": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int64)], 'Views of what the batch holds, valid until it is filled again. data of `present` is NULL when every row has it.'),
    "kd_batch_offsets": (c_int32, [c_void_p, POINTER(kd_array)], 'First row of each sample and the number of rows at the end: (samples + 1) int64.'),
    "kd_batch_samples": (c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)], "Samples' numbers in the dataset ((samples) int64), keys ((samples, 2) uint64) and views ((samples) int64).\nAny of the three may be NULL. Without a loader: 0, 1, 2 ..., keys 0 and views 0."),
    "kd_batch_set_samples": (c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)], "Gives the host's own batch its sample numbers, keys and views; each may be NULL (unchanged). Copied."),
    "kd_model_options_init": (None, [POINTER(kd_model_options), c_size_t], ''),
    "kd_model_create": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_model_options)], "A model with fresh weights: U(-a, a), a = 1 / sqrt(fan-in), for weights and biases (PyTorch's default), from the seed; language\nmodels N(0, initializer_range) for matrices, norms 1, biases 0.\nErrors: KD_ERR_CONFIG names the unknown key, or the layer that does not fit the one before it."),
    "kd_model_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_model_options)], 'A model from a folder with config.json and model.safetensors, or the shards of model.safetensors.index.json (F32, F16, BF16, F64; mapped\nwhile they are read), or from a GGUF file of architecture llama, qwen2 or qwen3 (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K). A tensor that is missing, or not in the model, or of another shape is an error that names it.'),
    "kd_model_free": (None, [c_void_p], 'A model from a folder with config.json and model.safetensors, or the shards of model.safetensors.index.json (F32, F16, BF16, F64; mapped\nwhile they are read), or from a GGUF file of architecture llama, qwen2 or qwen3 (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K). A tensor that is missing, or not in the model, or of another shape is an error that names it.'),
    "kd_model_save_options_init": (None, [POINTER(kd_model_save_options), c_size_t], ''),
    "kd_model_save": (c_int32, [c_void_p, c_char_p, POINTER(kd_model_save_options)], "Writes config.json and model.safetensors, or shards and model.safetensors.index.json in its stead, into `folder` (made if it is not there),\neach file beside its place and moved in; a model that was loaded takes its folder's tokenizer and generation files along. What a language\nmodel writes, transformers loads. Errors: KD_ERR_RANGE (more than 1,000 shards), KD_ERR_UNSUPPORTED (dtype), KD_ERR_IO."),
    "kd_model_memory": (c_int32, [c_void_p, c_char_p, POINTER(kd_model_options), POINTER(kd_model_memory_info)], ''),
    "kd_model_forward": (c_int32, [c_void_p, c_void_p, c_int32], 'Runs the model on the batch\'s input field (config key "input", default "inputs"), mode KD_TRAIN or KD_EVALUATE. In KD_TRAIN\nthe random numbers of dropout are counted by pass (part of a checkpoint). Errors: KD_ERR_NOT_FOUND (no such field),\nKD_ERR_SHAPE (row size), KD_ERR_STATE (KD_TRAIN on a frozen model).'),
    "kd_model_output": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], 'View (rows, ...) of a named output of the last forward pass; valid until the next one.'),
    "kd_model_add_output_gradient": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], 'Adds gradients (same shape as the output) of one output for the backward pass that follows. kd_loss_backward does both;\nthese two are for hosts with a loss of their own.'),
    "kd_model_backward": (c_int32, [c_void_p], 'Pushes the output gradients back: parameter gradients are accumulated. After kd_optimizer_step or\nkd_model_zero_gradients the first backward pass overwrites instead. KD_ERR_STATE without a KD_TRAIN pass before, and with\nshared_gradients without a step that was begun.'),
    "kd_model_zero_gradients": (c_int32, [c_void_p], 'Pushes the output gradients back: parameter gradients are accumulated. After kd_optimizer_step or\nkd_model_zero_gradients the first backward pass overwrites instead. KD_ERR_STATE without a KD_TRAIN pass before, and with\nshared_gradients without a step that was begun.'),
    "kd_model_predict": (c_int32, [c_void_p, c_void_p, c_char_p, c_int32, POINTER(kd_array)], "Runs the model (KD_EVALUATE) over a dataset in order and writes one output's rows into `values` (samples, width) float32."),
    "kd_model_parameters": (c_int32, [c_void_p, POINTER(kd_array)], 'The flat blocks, (parameters) float32. Writing into them is allowed between calls. Gradients: KD_ERR_STATE when frozen or shared.'),
    "kd_model_gradients": (c_int32, [c_void_p, POINTER(kd_array)], 'The flat blocks, (parameters) float32. Writing into them is allowed between calls. Gradients: KD_ERR_STATE when frozen or shared.'),
    "kd_model_tensors": (c_int32, [c_void_p, POINTER(c_int32)], 'Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw), "layers.0.bias" (out).'),
    "kd_model_tensor": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(kd_array)], 'Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw), "layers.0.bias" (out).'),
    "kd_model_tensor_gradient": (c_int32, [c_void_p, c_int32, POINTER(kd_array)], 'Named views into the blocks, in order: "layers.0.weight" (out, in) or (out, in, kh, kw), "layers.0.bias" (out).'),
    "kd_model_freeze": (c_int32, [c_void_p, c_char_p, c_int32], 'Parameters whose name matches the pattern (* and ?) are left alone by optimisers (on = 1), or not (0). KD_ERR_NOT_FOUND\nwhen nothing matches.'),
    "kd_model_nonfinite": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_char_p)], 'How many parameters are NaN or infinite; *tensor (may be NULL) names the first that has one, NULL: none. Loading does not look.'),
    "kd_model_config": (c_int32, [c_void_p, POINTER(c_char_p)], 'The config as JSON text; lives as long as the model.'),
    "kd_model_copy_parameters": (c_int32, [c_void_p, c_void_p], 'Copies the parameters of another model of the same config. KD_ERR_MISMATCH otherwise.'),
    "kd_student_options_init": (None, [POINTER(kd_student_options), c_size_t], ''),
    "kd_model_student": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_student_options)], "A student with the teacher's vocabulary, its embeddings and what is kept of its layers. Widths, feed-forward and heads are cut by\nimportance, feed-forward and heads in each layer by itself, hidden numbers alike everywhere; without `calibration` the first ones are kept.\nWith kd_layer_repeats, shared layers take the weights of the first teacher layer that maps to them. The teacher's folder is kept in mind,\nso that its tokenizer goes along when the student is saved. Errors: KD_ERR_UNSUPPORTED (no language model), KD_ERR_RANGE (more than the teacher has)."),
    "kd_model_resize": (c_int32, [c_void_p, c_int64], "Gives the model's embeddings (and its head) `vocabulary` rows: new ones are the mean of the old [Hewitt 2021], old ones beyond it go. Gradients\nand optimisers' state are void: make optimisers afterwards."),
    "kd_lora_options_init": (None, [POINTER(kd_lora_options), c_size_t], ''),
    "kd_model_add_lora": (c_int32, [c_void_p, c_char_p, POINTER(kd_lora_options)], 'Gives every matrix whose name matches the pattern (NULL: "*_proj.weight") a low-rank adapter: tensors name.lora_A (rank, in), random, and\nname.lora_B (out, rank), zero. The first call freezes all other tensors (kd_model_freeze may thaw some). Passes, generators and\nkd_model_save see W + alpha / rank B A: a saved folder has it merged. Views and optimisers made before are void. May be called again\nfor other matrices.                                                                                      [Hu et al. 2022]'),
    "kd_ready_config": (c_int32, [c_char_p, POINTER(c_char_p)], 'A ready config as JSON text, static: "llama-100k", "llama-1m", "llama-5m", "llama-15m", "llama-40m", "llama-150m", and the same with "qwen3-". The\nname is about the number of parameters with 2,048 tokens (100k, 1m), 8,192 (5m, 15m) or 49,152 (40m, 150m). KD_ERR_NOT_FOUND lists the names.'),
    "kd_teacher_options_init": (None, [POINTER(kd_teacher_options), c_size_t], ''),
    "kd_teacher_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_array), POINTER(kd_teacher_options)], 'A teacher from arrays: create, then add fields of (samples, ...). keys ((samples, 2) uint64, copied) are needed with\nKD_BY_KEY, else NULL. "probabilities" (float, each row sums to 1 within 1e-3) is kept as "logits", the logarithms, and\n"label" is integer. Copied, or borrowed: contiguous float32 (labels int64), alive and unchanged while the teacher is.'),
    "kd_teacher_add": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], 'A teacher from arrays: create, then add fields of (samples, ...). keys ((samples, 2) uint64, copied) are needed with\nKD_BY_KEY, else NULL. "probabilities" (float, each row sums to 1 within 1e-3) is kept as "logits", the logarithms, and\n"label" is integer. Copied, or borrowed: contiguous float32 (labels int64), alive and unchanged while the teacher is.'),
    "kd_teacher_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], 'A teacher from arrays: create, then add fields of (samples, ...). keys ((samples, 2) uint64, copied) are needed with\nKD_BY_KEY, else NULL. "probabilities" (float, each row sums to 1 within 1e-3) is kept as "logits", the logarithms, and\n"label" is integer. Copied, or borrowed: contiguous float32 (labels int64), alive and unchanged while the teacher is.'),
    "kd_teacher_from_model": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_options)], "A live teacher: the model's outputs on the batch itself (augmented as the student sees it). Keeps the model alive."),
    "kd_ensemble_options_init": (None, [POINTER(kd_ensemble_options), c_size_t], ''),
    "kd_teacher_from_ensemble": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_int32, POINTER(kd_ensemble_options)], "Several teachers as one: their fields merged; keeps them alive. A row that one member lacks is absent. Dense logits give dense\nlogits. Where a member's field is sparse (top-k; dense members may stand beside) the result is sparse: the union of the ids\nwith the tail carried, and an id that a record lacks gets its tail's mass / (V - k), counted as borrowed in the diagnostics.\nSampled counts are merged with sampled counts. Sparse members need the ensemble's temperature, the same number of classes and\nKD_MEAN_OF_PROBABILITIES: KD_ERR_MISMATCH, KD_ERR_SHAPE, KD_ERR_UNSUPPORTED otherwise, when the teacher is read."),
    "kd_teacher_from_callbacks": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_callbacks), POINTER(kd_teacher_options)], ''),
    "kd_teacher_collect": (c_int32, [POINTER(c_void_p), c_void_p, c_void_p, c_int32], 'Asks a teacher about every sample of a dataset, in order, and keeps the answers in memory: a new teacher, looked up by\nkey, with the fields that the answers had.'),
    "kd_teacher_free": (None, [c_void_p], 'Asks a teacher about every sample of a dataset, in order, and keeps the answers in memory: a new teacher, looked up by\nkey, with the fields that the answers had.'),
    "kd_teacher_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], 'View (samples, ...) of a field of a teacher made from arrays or by kd_teacher_collect; valid while the teacher is.'),
    "kd_targets_options_init": (None, [POINTER(kd_targets_options), c_size_t], ''),
    "kd_targets_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_targets_options)], ''),
    "kd_targets_free": (None, [c_void_p], ''),
    "kd_teacher_read": (c_int32, [c_void_p, c_void_p, c_void_p], 'Reads what the teacher says about the batch. Buffers are reused: no allocation after the largest batch.'),
    "kd_targets_begin": (c_int32, [c_void_p, c_int64], 'The host\'s own targets: begin, then set fields of (rows, ...): copied as float32 ("label": int64), or borrowed until the\ntargets begin anew. `present` ((rows) uint8) says which rows have a teacher; NULL: all.'),
    "kd_targets_set": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], 'The host\'s own targets: begin, then set fields of (rows, ...): copied as float32 ("label": int64), or borrowed until the\ntargets begin anew. `present` ((rows) uint8) says which rows have a teacher; NULL: all.'),
    "kd_targets_borrow": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], 'The host\'s own targets: begin, then set fields of (rows, ...): copied as float32 ("label": int64), or borrowed until the\ntargets begin anew. `present` ((rows) uint8) says which rows have a teacher; NULL: all.'),
    "kd_sparse_init": (None, [POINTER(kd_sparse), c_size_t], ''),
    "kd_targets_set_sparse": (c_int32, [c_void_p, c_char_p, POINTER(kd_sparse), POINTER(kd_array)], 'Sets a sparse field (terms name it in teacher_field), copied: ids sorted, values as float32.'),
    "kd_targets_sparse": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)], 'Views of a sparse field: offsets (rows + 1) int64, ids uint32, values float32, tail (rows) float32; any may be NULL.'),
    "kd_targets_select": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), c_int64, c_double, c_double, POINTER(kd_array)], 'The k largest classes of dense logits (rows, V; float32, float16 or bfloat16) at a temperature, with the exact mass outside,\nalso at `further` temperatures: a sparse field. mass in (0, 1): the fewest ids that reach it, at most k; 0: k ids.'),
    "kd_targets_sample": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), c_int64, c_double, c_uint64], '`draws` draws a row from softmax(logits / temperature), a counter-based stream of (seed, row): a sparse field of counts,\nwith the entropy.'),
    "kd_targets_field": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], 'View of a field; data of `present` (may be NULL) is NULL when every row has it. Valid until the targets are filled again.'),
    "kd_head_init": (None, [POINTER(kd_head), c_size_t], ''),
    "kd_targets_borrow_head": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(kd_head)], 'Gives the targets a dense field `name` (most often "logits") that is the field `hidden` ((rows, d) float32) through a\nhead: computed by the loss in blocks, never stored. The head\'s arrays stay alive and unchanged until the targets\nbegin anew; the struct itself is copied.'),
    "kd_align_bytes": (c_int32, [POINTER(kd_array), POINTER(kd_array), POINTER(kd_array), POINTER(c_int64)], 'Cuts two token sequences of the same text at their common byte boundaries. `student_ends` and `teacher_ends` hold the end\nof each token in bytes, rising ((n) and (m) integers). Chunk c spans student tokens chunks[c][0] .. chunks[c][1] - 1 and\nteacher tokens chunks[c][2] .. chunks[c][3] - 1; *count is their number (at most min(n, m)); tokens behind the last common\nboundary belong to none. chunks: (room, 4) int64, may be NULL to count. KD_ERR_RANGE: ends fall, or room is too small.'),
    "kd_targets_align": (c_int32, [c_void_p, c_void_p, c_char_p, POINTER(kd_array), c_int64, c_int64, c_int64, POINTER(c_int64)], "Moves a teacher's field from its own rows onto the student's, by such chunks: row student_begin + s of `to` gets row\nteacher_begin + t of `from` where tokens s and t begin at the same byte and begin chunks of one token on both sides; other\nrows are absent, and *absent (may be NULL) is their number. Dense float fields and sparse ones. A row predicts the token\nthat begins there. Fields of `to` that are there already keep their other rows."),
    "kd_chunk_sums": (c_int32, [POINTER(kd_array), POINTER(kd_array), c_int64, c_int32, POINTER(kd_array)], "Sums log-probabilities over chunks: sums[c] = sum of log_probabilities[chunks[c][side] .. chunks[c][side + 1] - 1]; side 0\nthe student's, 2 the teacher's. log_probabilities: (n) float32; sums: (count) float64."),
    "kd_store_field_init": (None, [POINTER(kd_store_field), c_size_t], ''),
    "kd_store_options_init": (None, [POINTER(kd_store_options), c_size_t], ''),
    "kd_store_key": (c_int32, [c_void_p, POINTER(kd_array), POINTER(c_uint64), POINTER(c_uint64)], 'The key of a sample: tokens (integers, hashed as little-endian uint32) or bytes (uint8), MurmurHash3_x64_128 with seed 0. It is\nof the whole sample, before any cut to a training length.'),
    "kd_store_writer_create": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_store_options), POINTER(kd_store_field), c_int32], 'Makes or continues a store. KD_ERR_STATE: it is open for writing elsewhere, or is there and append is 0; KD_ERR_MISMATCH:\nthe header there says otherwise (what, in the message). A torn tail is cut off and logged.'),
    "kd_store_writer_head": (c_int32, [c_void_p, POINTER(kd_array), c_int32], 'The head that turns the field of kind KD_STORE_HIDDEN into logits: (vocabulary, width), kept once, as `encoding`\n(KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16). Before the first record.'),
    "kd_store_writer_add": (c_int32, [c_void_p, c_void_p, c_void_p], 'A record a sample of the batch, by its key and view, out of the targets; committed when it returns. Packed batches get\ntheir keys by kd_batch_set_samples; a key of 0 is refused. A batch\'s field "position" counts as when reading. Rows that are absent in\nall fields at a sample\'s begin and end are left out.'),
    "kd_store_writer_begin": (c_int32, [c_void_p, c_uint64, c_uint64, c_int64, c_int64, c_int64], "Piece by piece: begin, put every field, commit. `first` is the sample's position of row 0."),
    "kd_store_writer_put": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], "Piece by piece: begin, put every field, commit. `first` is the sample's position of row 0."),
    "kd_store_writer_put_sparse": (c_int32, [c_void_p, c_char_p, c_void_p, c_char_p, c_int64], 'Sparse rows first_row .. of a sparse field of targets.'),
    "kd_store_writer_put_text": (c_int32, [c_void_p, c_char_p, c_char_p, c_int64], 'Sparse rows first_row .. of a sparse field of targets.'),
    "kd_store_writer_commit": (c_int32, [c_void_p], 'Sparse rows first_row .. of a sparse field of targets.'),
    "kd_store_writer_close": (c_int32, [c_void_p], 'Writes the index that makes opening fast, and closes. kd_store_writer_free without it loses nothing but that.'),
    "kd_store_writer_free": (None, [c_void_p], 'Writes the index that makes opening fast, and closes. kd_store_writer_free without it loses nothing but that.'),
    "kd_store_open_options_init": (None, [POINTER(kd_store_open_options), c_size_t], ''),
    "kd_store_open": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_char_p), c_int32, POINTER(kd_store_open_options)], 'Opens files or folders of shards as one. They must agree (fields, vocabulary, temperature, alignment, hashes): KD_ERR_MISMATCH\nsays what differs. KD_ERR_FORMAT: not a store, or a shard is there that the manifest does not name, or the other way round.'),
    "kd_store_free": (None, [c_void_p], 'Opens files or folders of shards as one. They must agree (fields, vocabulary, temperature, alignment, hashes): KD_ERR_MISMATCH\nsays what differs. KD_ERR_FORMAT: not a store, or a shard is there that the manifest does not name, or the other way round.'),
    "kd_store_get_info": (c_int32, [c_void_p, POINTER(kd_store_info)], ''),
    "kd_store_header": (c_int32, [c_void_p, POINTER(c_char_p)], 'The header as JSON text, of the first shard; valid while the store is.'),
    "kd_store_get_record": (c_int32, [c_void_p, c_int64, POINTER(kd_store_record)], ''),
    "kd_store_find": (c_int32, [c_void_p, c_uint64, c_uint64, c_int64, POINTER(c_int64)], 'KD_ERR_NOT_FOUND when there is none.'),
    "kd_store_read": (c_int32, [c_void_p, c_int64, c_void_p], 'All of a record into targets (begun anew, a row a position). Text, score and seed come from the calls below.\nKD_ERR_FORMAT names the record whose checksum is wrong.'),
    "kd_store_text": (c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_char_p), POINTER(c_int64)], 'Bytes of a field of kind text (valid while the store is, or until the next call with pread), score or seed.'),
    "kd_store_number": (c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_double), POINTER(c_uint64)], 'Bytes of a field of kind text (valid while the store is, or until the next call with pread), score or seed.'),
    "kd_store_head": (c_int32, [c_void_p, c_int32, POINTER(kd_array)], 'The head as (vocabulary, width) float32: `rotated` 1 as hidden states are read, 0 as it was given. Valid while the store is.'),
    "kd_store_unrotate": (c_int32, [c_void_p, c_char_p, POINTER(kd_array)], 'Undoes the rotation of hidden states read from a store, in place: (rows, width) float32.'),
    "kd_store_part_bytes": (c_int32, [c_void_p, c_int64, c_char_p, POINTER(c_int64)], "Bytes of a record's part of a field, for statistics."),
    "kd_store_refresh": (c_int32, [c_void_p, POINTER(c_int64)], 'Sees what a writer has committed since. *added may be NULL.'),
    "kd_store_verify": (c_int32, [c_void_p, POINTER(c_int64)], 'Reads and checks every byte; *bad is the number of records that are damaged, the first of which the message names.'),
    "kd_store_compact": (c_int32, [c_void_p, c_char_p], 'Copies the last record of every key and view into one new file: merges shards, and drops what was replaced.'),
    "kd_teacher_from_store": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_teacher_options)], 'A teacher on a store: looked up by key and view. A batch\'s field "position" ((rows) int64) says which position of its sample a\nrow is; without it a sample\'s rows begin at position 0. Positions that a record lacks are absent.'),
    "kd_teacher_open": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_teacher_options)], 'The same in one call: opens path (a file or a folder).'),
    "kd_import_options_init": (None, [POINTER(kd_import_options), c_size_t], ''),
    "kd_store_import": (c_int32, [c_void_p, c_int32, c_char_p, POINTER(kd_import_options), POINTER(kd_import_counts)], "Reads the file into the writer's store, a record at a time; the writer's temperature is what the server sampled at (no server\nstates it). counts may be NULL. KD_ERR_FORMAT names the line; records of the lines before it are committed."),
    "kd_tokenizer_load": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p], 'A folder with tokenizer.json (or .gz; chat_template.jinja or tokenizer_config.json beside it tell the chat format), or such a file, or a GGUF file.'),
    "kd_tokenizer_free": (None, [c_void_p], 'A folder with tokenizer.json (or .gz; chat_template.jinja or tokenizer_config.json beside it tell the chat format), or such a file, or a GGUF file.'),
    "kd_tokenizer_encode": (c_int32, [c_void_p, c_char_p, c_int64, c_int32, POINTER(c_int32), c_int64, POINTER(c_int64)], 'Token ids of `bytes` bytes of text (-1: up to its 0). *count is how many there are; they are written when `room` is enough. ids NULL: only\ncounted. Added tokens are found in the text wherever they stand. KD_ERR_RANGE: room is too small (*count is set).'),
    "kd_tokenizer_decode": (c_int32, [c_void_p, POINTER(c_int32), c_int64, c_int32, c_char_p, c_int64, POINTER(c_int64)], 'The text of ids, with a 0 behind it; *bytes is its length without the 0, and `room` counts the 0. text NULL: only counted. What is no\nUTF-8 comes out as U+FFFD. Ids that are no token are left out; negative ones are KD_ERR_RANGE, as is a room that is too small.'),
    "kd_tokenizer_size": (c_int32, [c_void_p, POINTER(c_int64)], 'The highest id + 1: what an embedding must have rows for.'),
    "kd_tokenizer_token": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int32)], 'A token as its file writes it ("\\u0120the" for " the"); lives as long as the tokenizer. flags may be NULL. KD_ERR_NOT_FOUND: no token.'),
    "kd_tokenizer_id": (c_int32, [c_void_p, c_char_p, POINTER(c_int32)], 'Its id. KD_ERR_NOT_FOUND.'),
    "kd_detokenizer_create": (c_int32, [POINTER(c_void_p), c_void_p, c_int32], 'Turns ids into text one by one, only whole characters. flags: KD_SKIP_SPECIAL. Keeps the tokenizer alive.'),
    "kd_detokenizer_free": (None, [c_void_p], 'Turns ids into text one by one, only whole characters. flags: KD_SKIP_SPECIAL. Keeps the tokenizer alive.'),
    "kd_detokenizer_push": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int64)], 'Takes an id and gives the text that it completes ("" while a character is not whole); valid until the next call. All pieces, and\nwhat kd_detokenizer_finish gives, are the text that kd_tokenizer_decode makes of all ids. *bytes (may be NULL): its length.'),
    "kd_detokenizer_finish": (c_int32, [c_void_p, POINTER(c_char_p), POINTER(c_int64)], 'What is left, as kd_tokenizer_decode would end it; begins anew.'),
    "kd_tokenizer_add": (c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int32)], 'Adds a token at the next free id, or finds it: *id. Special tokens are left out by KD_SKIP_SPECIAL. kd_model_resize gives models rows for it.'),
    "kd_tokenizer_rename": (c_int32, [c_void_p, c_char_p, c_char_p], "An added token gets another text; its id stays. KD_ERR_INVALID: the name is taken, or the token is one of the model's own."),
    "kd_tokenizer_save": (c_int32, [c_void_p, c_char_p], 'Writes tokenizer.json into a folder (made if it is not there), changes included.'),
    "kd_tokenizer_compare": (c_int32, [c_void_p, c_void_p, POINTER(c_char_p), c_int32, c_int32, POINTER(c_int64), POINTER(c_char_p)], 'Compares ids, token by token: *differences counts ids whose token differs or that only one has, `text` (may be NULL) is a new list of\nthe first `limit` ones, freed by kd_text_free. `allowed` (may be NULL) are patterns (* and ?) of tokens of either whose difference does not count.'),
    "kd_text_free": (None, [c_void_p, c_char_p], 'Compares ids, token by token: *differences counts ids whose token differs or that only one has, `text` (may be NULL) is a new list of\nthe first `limit` ones, freed by kd_text_free. `allowed` (may be NULL) are patterns (* and ?) of tokens of either whose difference does not count.'),
    "kd_chat_options_init": (None, [POINTER(kd_chat_options), c_size_t], ''),
    "kd_tokenizer_chat_format": (c_int32, [c_void_p, POINTER(c_int32)], "Which format the folder's template is: KD_CHAT_CHATML ..., or KD_CHAT_AUTO: none that is known."),
    "kd_chat_text": (c_int32, [c_void_p, POINTER(kd_message), c_int32, POINTER(kd_chat_options), POINTER(c_char_p)], 'The text of a chat: a new block, freed by kd_text_free.'),
    "kd_chat_encode": (c_int32, [c_void_p, POINTER(kd_message), c_int32, POINTER(kd_chat_options), POINTER(c_int32), c_void_p, c_int64, POINTER(c_int64)], 'Its ids, and (room) uint8 `answer` (may be NULL): 1 for what the assistant says, its end mark included: the mask of a loss.'),
    "kd_record_init": (None, [POINTER(kd_record), c_size_t], ''),
    "kd_record_keys": (c_int32, [POINTER(kd_record)], 'Fills both keys. Without messages they are taken from prompt and completion. MurmurHash3 x64 128 of the texts, each with its role and a 0 behind it.'),
    "kd_record_json": (c_int32, [c_void_p, POINTER(kd_record), POINTER(c_char_p)], 'The record as one line of JSON without its end, in the first shape; freed by kd_text_free. KD_ERR_INVALID: what no reader would take: a text that is no\nUTF-8, a message without role or content, an "extra" that is no object or has a member of the record\'s own.'),
    "kd_record_options_init": (None, [POINTER(kd_record_options), c_size_t], ''),
    "kd_record_reader_open": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_char_p), c_int32, POINTER(kd_record_options)], 'Opens files that are read one behind the other. KD_ERR_NOT_FOUND names the one that is missing.'),
    "kd_record_reader_text": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, c_int64, POINTER(kd_record_options)], 'The same from a text of lines, copied.'),
    "kd_record_reader_free": (None, [c_void_p], 'The same from a text of lines, copied.'),
    "kd_record_reader_next": (c_int32, [c_void_p, POINTER(kd_record)], 'KD_OK, KD_END, or an error. Empty lines are passed over.'),
    "kd_record_reader_rewind": (c_int32, [c_void_p], 'To the first record again; the counts begin anew.'),
    "kd_record_reader_get_counts": (c_int32, [c_void_p, POINTER(kd_record_counts)], ''),
    "kd_record_writer_options_init": (None, [POINTER(kd_record_writer_options), c_size_t], ''),
    "kd_record_writer_open": (c_int32, [POINTER(c_void_p), c_void_p, c_char_p, POINTER(kd_record_writer_options)], ''),
    "kd_record_writer_add": (c_int32, [c_void_p, POINTER(kd_record)], 'Writes a line, whole or (with append) not at all.'),
    "kd_record_writer_close": (c_int32, [c_void_p], 'Everything is on the disk afterwards. A writer that is freed without it leaves no new file, and an appended one as far as it came.'),
    "kd_record_writer_free": (None, [c_void_p], 'Everything is on the disk afterwards. A writer that is freed without it leaves no new file, and an appended one as far as it came.'),
    "kd_generator_options_init": (None, [POINTER(kd_generator_options), c_size_t], ''),
    "kd_generator_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_generator_options)], 'Keeps the model alive, which must not train while sequences run; kd_generator_refresh after it did. Errors: KD_ERR_UNSUPPORTED (not a language model).'),
    "kd_generator_free": (None, [c_void_p], 'Keeps the model alive, which must not train while sequences run; kd_generator_refresh after it did. Errors: KD_ERR_UNSUPPORTED (not a language model).'),
    "kd_sampling_init": (None, [POINTER(kd_sampling), c_size_t], ''),
    "kd_generator_add": (c_int32, [c_void_p, POINTER(c_int32), c_int64, POINTER(kd_sampling), POINTER(c_int64)], "Adds a prompt of `count` ids; everything is copied. *request numbers prompts from 0. The order of filters is penalty, temperature, top_k,\ntop_p, min_p. Errors: KD_ERR_RANGE (an empty prompt; an id that is none; prompt and max_tokens beyond the cache; a prompt beyond the model's\npositions - max_tokens is cut to them)."),
    "kd_generator_next": (c_int32, [c_void_p, POINTER(kd_generated)], 'Runs until a text is finished; what `text` points to is valid until the next call. KD_END: all are given out. KD_ERR_CANCELLED: the context\nwas cancelled; what runs goes on with the next call.'),
    "kd_generator_refresh": (c_int32, [c_void_p], 'After the model was trained: blocks of the cache that were computed before are forgotten, 8-bit weights are made again. KD_ERR_STATE: prompts\nwait or run, or texts are not given out.'),
    "kd_generator_cancel": (c_int32, [c_void_p, c_int64], 'Drops what is left of a prompt: waiting, running and finished samples.'),
    "kd_generator_memory": (c_int32, [c_void_p, POINTER(kd_generator_options), POINTER(kd_generator_info)], 'What a generator would take, before anything is allocated; the counts are 0.'),
    "kd_generator_get_info": (c_int32, [c_void_p, POINTER(kd_generator_info)], 'What a generator would take, before anything is allocated; the counts are 0.'),
    "kd_beam_options_init": (None, [POINTER(kd_beam_options), c_size_t], ''),
    "kd_generator_beam": (c_int32, [c_void_p, POINTER(c_int32), c_int64, POINTER(kd_beam_options), POINTER(kd_generated), POINTER(c_double)], "Beam search from one prompt: the best text (reason, count, ids, text; logprobs are its own). Nothing else may run in the generator, and\nmax_sequences must be at least `beams`; the cache needs the prompt's blocks and, for each beam, its text's and one more (KD_ERR_STATE,\nKD_ERR_RANGE)."),
    "kd_gguf_save": (c_int32, [c_void_p, c_void_p, c_char_p, c_int32, c_int32], 'Writes a model and its tokenizer as one GGUF file (version 3), beside its place and moved in. dtype: KD_FLOAT32, KD_FLOAT16, or KD_INT8: Q8_0,\n8 bits with a scale for every 32 numbers (matrices whose rows are no multiple of 32 stay float16). Vectors are float32. Shared layers are\nwritten out. end_token: the id that ends a text, -1: none is written. Errors: KD_ERR_UNSUPPORTED (windows, dynamic rope scaling, or a tokenizer\nwhose cutting has no name in such files: known are those of GPT-2, Llama 3, Qwen2, SmolLM and character models).'),
    "kd_verify_options_init": (None, [POINTER(kd_verify_options), c_size_t], ''),
    "kd_verify": (c_int32, [c_char_p, c_char_p, POINTER(kd_verify_options), POINTER(c_int32), POINTER(c_int32)], "Is the text's answer the expected one (a text too: its answer is taken the same way)? *passed: bits of the verifiers that said yes, and *right: what\nthey say together, the format included. passed may be NULL."),
    "kd_answer_find": (c_int32, [c_char_p, POINTER(c_char_p), POINTER(c_int64)], "Where a text's answer lies."),
    "kd_answer_number": (c_int32, [c_char_p, POINTER(c_double), POINTER(c_int32)], 'The number of an answer, as KD_VERIFY_NUMBER reads it. KD_ERR_NOT_FOUND: it has none. *percent (may be NULL): 1: a percent sign stands behind it.'),
    "kd_majority": (c_int32, [POINTER(c_char_p), c_int32, POINTER(kd_verify_options), POINTER(c_int32), POINTER(c_int32)], 'The most frequent answer of several texts: answers are counted as equal when kd_verify says so. *winner: the first text that has it; *votes: how\nmany have. Texts whose answer no verifier takes agree with none, not with themselves: *votes is 0 when there are no others.'),
    "kd_pass_rates": (c_int32, [POINTER(c_int32), c_int64, c_int32, c_int32, POINTER(kd_pass)], 'pass@1 and pass@k from verdicts `right` ((questions, samples) 0 or 1). Q = 1: the errors are 0. KD_ERR_RANGE: k is not 1 to samples.'),
    "kd_loss_options_init": (None, [POINTER(kd_loss_options), c_size_t], ''),
    "kd_term_options_init": (None, [POINTER(kd_term_options), c_size_t], ''),
    "kd_loss_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_loss_options)], ''),
    "kd_loss_free": (None, [c_void_p], ''),
    "kd_loss_add": (c_int32, [c_void_p, c_int32, c_double, POINTER(kd_term_options), POINTER(c_int32)], 'Adds a term; *term (may be NULL) is its number from 0. Names in the options are copied.'),
    "kd_loss_set": (c_int32, [c_void_p, c_int32, c_int32, c_double], '0 .. 100'),
    "kd_loss_get": (c_int32, [c_void_p, c_int32, c_int32, POINTER(c_double)], '0 .. 100'),
    "kd_loss_bounds": (c_int32, [c_int32, POINTER(c_double), POINTER(c_double)], '0 .. 100'),
    "kd_loss_term": (c_int32, [c_void_p, c_int32, POINTER(c_int32), POINTER(kd_term_options)], 'The options of a term as they are now; names live as long as the loss. options->struct_size is set by the caller.'),
    "kd_loss_set_shared": (c_int32, [c_void_p, c_int32, POINTER(kd_array), c_int64], "ULD with classes that both tokenizers share: teacher_of ((student classes) integers, copied; NULL: plain ULD again) holds the teacher's\nclass of each student class, -1 for none. The term is KL over the shared classes and one bucket of all others, plus the sum of sorted\ndifferences of those that only one side has. KD_ERR_INVALID: no ULD; KD_ERR_RANGE: classes outside or twice."),
    "kd_loss_count": (c_int32, [c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts)], 'Counts of one batch. counts->struct_size and result->struct_size are set by the caller. targets may be NULL when no\nterm needs a teacher. Errors: KD_ERR_NOT_FOUND (field), KD_ERR_SHAPE (rows), KD_ERR_RANGE (label, with its row).'),
    "kd_loss_counts_add": (c_int32, [POINTER(kd_loss_counts), POINTER(kd_loss_counts)], 'counts = counts + more, term by term.'),
    "kd_loss_backward": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(kd_loss_result)], "Value and gradients on a model after its forward pass, pushed back into its parameter gradients (accumulated).\ncounts NULL: this batch's own. When the call fails nothing is accumulated."),
    "kd_loss_value": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(kd_loss_result)], 'Value only, on a model after a forward pass.'),
    "kd_loss_memory": (c_int32, [c_void_p, c_int64, c_int64, c_int64, c_int64, POINTER(c_int64), POINTER(c_int64)], "Bytes that a call with these sides takes beyond the caller's arrays, and the rows that go through the head at once. Widths: of a side's hidden\nstates where its logits are computed from them, else 0. A head that skips without the loss's skip_bound takes fewer rows at once than told."),
    "kd_loss_eval": (c_int32, [c_void_p, POINTER(kd_loss_output), c_int32, c_void_p, c_void_p, POINTER(kd_loss_counts), POINTER(kd_loss_result)], "The loss alone, on plain arrays: labels, masks and weights are fields of the batch, the teacher's side is in the targets.\nWhen the call fails the gradients are undefined."),
    "kd_loss_set_diagnostics": (c_int32, [c_void_p, c_int32], 'Diagnostics cost a pass over the arrays: they are computed only after this was switched on (default off).'),
    "kd_loss_get_diagnostics": (c_int32, [c_void_p, c_int32, POINTER(kd_loss_diagnostics)], 'Diagnostics cost a pass over the arrays: they are computed only after this was switched on (default off).'),
    "kd_schedule_constant": (c_int32, [POINTER(c_void_p), c_void_p, c_double], 'value'),
    "kd_schedule_linear": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64], 'from + (to - from) s,  s = step / steps, at most 1. Also a warm-up: linear(0, 1, steps). steps >= 1 everywhere.'),
    "kd_schedule_cosine": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64], 'to + (from - to) (1 + cos(pi s)) / 2                                   [Loshchilov and Hutter 2017, eq. 5]'),
    "kd_schedule_exponential": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64], 'from (to / from)^s; both above 0'),
    "kd_schedule_polynomial": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64, c_double], 'to + (from - to) (1 - s)^power; power > 0'),
    "kd_schedule_step": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64], 'value * factor^floor(step / every); every >= 1, factor > 0'),
    "kd_schedule_inverse_sqrt": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_int64], 'value * min((step + 1) / warmup, sqrt(warmup / (step + 1))); warmup >= 1          [Vaswani et al. 2017, 5.3]'),
    "kd_schedule_wsd": (c_int32, [POINTER(c_void_p), c_void_p, c_double, c_double, c_int64, c_int64, c_int64], 'warm-up-stable-decay: linear 0 to value in `warmup`, value for `stable`, linear to `floor` in `decay` steps   [MiniCPM 2024]'),
    "kd_schedule_piecewise": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_int64), POINTER(c_double), c_int32], 'Straight lines through the points (steps[i], values[i]), steps rising; count 1 to 4096. Copied.'),
    "kd_schedule_product": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_void_p), c_int32], 'The product of the parts, for example cosine times plateau. Keeps them alive; count 1 to 16.'),
    "kd_schedule_sequence": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(c_void_p), POINTER(c_int64), c_int32], 'parts[i] from starts[i] on, with steps counted from there; starts[0] = 0, rising. Keeps them alive.'),
    "kd_plateau_options_init": (None, [POINTER(kd_plateau_options), c_size_t], ''),
    "kd_schedule_plateau": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_plateau_options)], 'A value that falls when what the host reports stops getting better.'),
    "kd_taid_options_init": (None, [POINTER(kd_taid_options), c_size_t], ''),
    "kd_schedule_taid": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_taid_options)], "TAID's t for kd_loss_set(.., KD_PROGRESS, ..): it rises faster while the loss falls. One report of the term's loss a step:\n  d = (before - loss) / (before + 1e-15);   m <- beta m + (1 - beta) d;   t <- min(to, max(linear, t + alpha sigmoid(m) (1 - t)))\nThe first report is only kept. State: t, m, the loss before, and the number of reports.                                          [Shing et al. 2025, alg. 1]"),
    "kd_schedule_free": (None, [c_void_p], "TAID's t for kd_loss_set(.., KD_PROGRESS, ..): it rises faster while the loss falls. One report of the term's loss a step:\n  d = (before - loss) / (before + 1e-15);   m <- beta m + (1 - beta) d;   t <- min(to, max(linear, t + alpha sigmoid(m) (1 - t)))\nThe first report is only kept. State: t, m, the loss before, and the number of reports.                                          [Shing et al. 2025, alg. 1]"),
    "kd_schedule_value": (c_double, [c_void_p, c_int64], 'The value at a step; NaN for a NULL handle.'),
    "kd_schedule_report": (c_int32, [c_void_p, c_double], 'Gives a metric to every plateau and TAID schedule inside. KD_ERR_NONFINITE for NaN and infinity; others ignore it.'),
    "kd_schedule_get_state": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_int32)], 'State as numbers, for hosts that keep their own checkpoints: *count in: room, out: numbers needed. values NULL: ask.'),
    "kd_schedule_set_state": (c_int32, [c_void_p, POINTER(c_double), c_int32], 'State as numbers, for hosts that keep their own checkpoints: *count in: room, out: numbers needed. values NULL: ask.'),
    "kd_optimizer_options_init": (None, [POINTER(kd_optimizer_options), c_size_t], ''),
    "kd_optimizer_create": (c_int32, [POINTER(c_void_p), c_void_p, c_int32, POINTER(kd_optimizer_options)], ''),
    "kd_optimizer_free": (None, [c_void_p], ''),
    "kd_optimizer_add_model": (c_int32, [c_void_p, c_void_p], "Adds a source of parameters: a model (kept alive), or one named array of the host's with its gradient, float32 and contiguous,\nborrowed until the optimiser is freed. Sources are added before the first step."),
    "kd_optimizer_borrow_array": (c_int32, [c_void_p, c_char_p, POINTER(kd_array), POINTER(kd_array)], "Adds a source of parameters: a model (kept alive), or one named array of the host's with its gradient, float32 and contiguous,\nborrowed until the optimiser is freed. Sources are added before the first step."),
    "kd_group_options_init": (None, [POINTER(kd_group_options), c_size_t], ''),
    "kd_optimizer_group": (c_int32, [c_void_p, c_char_p, POINTER(kd_group_options)], 'Parameters whose name matches the pattern (* and ?, for example "*.bias") use these numbers from now on; the last group\nthat matches counts. KD_ERR_NOT_FOUND when nothing matches.'),
    "kd_optimizer_step": (c_int32, [c_void_p, c_double], 'One step with this learning rate (>= 0, finite). KD_OK also when it was skipped: see the info.'),
    "kd_optimizer_begin_step": (c_int32, [c_void_p, c_double], "Begins a step before the backward pass: the pass updates each layer of a language model as soon as its gradient is there, while it is near;\nkd_optimizer_step, with the same learning rate, does the rest. The same bits as a step behind the pass. What a step takes from all gradients\ntogether cannot be had: clip_norm must be 0, one pass makes the gradient (no accumulation), and gradients that are not finite leave their\nlayer and all that is updated later as it was, while layers updated before stay updated; the step counts as skipped. When the pass fails\n(a host's callback stops it, no memory), the layers behind that place are updated; begin again, or save a checkpoint as it is. Until the\nstep's end the optimiser's numbers stay, and the model takes no adapters and no other vocabulary; behind the pass checkpoints are refused.\nKD_ERR_STATE: clip_norm, gradients that wait, averaged weights in place, a model whose step another optimiser has begun."),
    "kd_optimizer_set": (c_int32, [c_void_p, c_int32, c_double], '0 .. 1; only when it was above 0 at creation'),
    "kd_optimizer_get": (c_int32, [c_void_p, c_int32, POINTER(c_double)], '0 .. 1; only when it was above 0 at creation'),
    "kd_optimizer_bounds": (c_int32, [c_int32, POINTER(c_double), POINTER(c_double)], '0 .. 1; only when it was above 0 at creation'),
    "kd_optimizer_get_info": (c_int32, [c_void_p, POINTER(kd_optimizer_info)], ''),
    "kd_optimizer_swap_average": (c_int32, [c_void_p], 'Exchanges parameters and averaged weights (for an evaluation; call it again to go on). KD_ERR_STATE without averaging;\na step between the two calls is refused.'),
    "kd_monitor_options_init": (None, [POINTER(kd_monitor_options), c_size_t], ''),
    "kd_monitor_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_monitor_options)], 'Watches one metric of one model.'),
    "kd_monitor_free": (None, [c_void_p], 'Watches one metric of one model.'),
    "kd_monitor_report": (c_int32, [c_void_p, c_double, POINTER(c_int32)], 'Takes a metric; NaN and infinity never improve. *verdict (may be NULL): bits.'),
    "kd_monitor_best": (c_int32, [c_void_p, POINTER(c_double), POINTER(c_int64)], 'The best metric and the report (from 0) that gave it. KD_ERR_STATE before the first improvement.'),
    "kd_monitor_restore": (c_int32, [c_void_p], 'Puts the best parameters back into the model. KD_ERR_STATE without keep_best or before an improvement.'),
    "kd_metrics_options_init": (None, [POINTER(kd_metrics_options), c_size_t], ''),
    "kd_metrics_create": (c_int32, [POINTER(c_void_p), c_void_p, c_int64, POINTER(kd_metrics_options)], 'An empty collection for predictions over `classes` classes (2 to 1,000,000).'),
    "kd_metrics_free": (None, [c_void_p], 'An empty collection for predictions over `classes` classes (2 to 1,000,000).'),
    "kd_metrics_add": (c_int32, [c_void_p, POINTER(kd_array), POINTER(kd_array), POINTER(kd_array)], "Adds predictions: logits (rows, classes) float32, labels (rows) integer, the teacher's logits of the same shape or NULL."),
    "kd_metrics_reset": (c_int32, [c_void_p], "Adds predictions: logits (rows, classes) float32, labels (rows) integer, the teacher's logits of the same shape or NULL."),
    "kd_metrics_get": (c_int32, [c_void_p, c_int32, POINTER(kd_metric)], 'One metric of everything added. KD_ERR_STATE when nothing was added, or no teacher for one that needs it.'),
    "kd_metrics_confusion": (c_int32, [c_void_p, POINTER(kd_array)], 'Counts (classes, classes) int64: row the label, column the prediction. Valid until the next add, reset or free.'),
    "kd_mean_error": (c_int32, [POINTER(c_double), c_int32, POINTER(c_double), POINTER(c_double)], 'Mean and standard error (n - 1) over repeated runs; count >= 1, the error of one run is NaN.'),
    "kd_metrics_latency": (c_int32, [c_void_p, c_int32, c_double, POINTER(kd_latency)], 'Times KD_EVALUATE forward passes on zeros: some warm-up, then passes for about `seconds` (at least 5, at most 100,000).'),
    "kd_report_create": (c_int32, [POINTER(c_void_p), c_void_p], ''),
    "kd_report_free": (None, [c_void_p], ''),
    "kd_report_set_number": (c_int32, [c_void_p, c_char_p, c_double], '"students.soft.accuracy": objects are made as needed; a name set twice keeps the last value. NaN and infinity become null.'),
    "kd_report_set_text": (c_int32, [c_void_p, c_char_p, c_char_p], '"students.soft.accuracy": objects are made as needed; a name set twice keeps the last value. NaN and infinity become null.'),
    "kd_report_set_numbers": (c_int32, [c_void_p, c_char_p, POINTER(c_double), c_int64], '"students.soft.accuracy": objects are made as needed; a name set twice keeps the last value. NaN and infinity become null.'),
    "kd_report_json": (c_int32, [c_void_p, POINTER(c_char_p)], 'The JSON text, valid until the report changes.'),
    "kd_report_write": (c_int32, [c_void_p, c_char_p], 'Writes it beside its place and moves it in.'),
    "kd_report_set_cell": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_double, c_double], 'A cell of a table; tables, rows and columns come in the order in which they are first named. standard_error NaN: none. In JSON:\n"tables": {table: {row: {column: value or {"value", "standard_error"}}}}.'),
    "kd_report_add_series": (c_int32, [c_void_p, c_char_p, c_char_p, c_int32, POINTER(c_double), POINTER(c_double), c_int64], 'Points (x, y) of a series of a picture; a series named twice is replaced. In JSON: "pictures": {picture: {"kind", "series": {..}}}.'),
    "kd_report_set_axes": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, c_int32], 'What the axes are called, and whether the first is one of logarithms.'),
    "kd_report_text": (c_int32, [c_void_p, POINTER(c_char_p)], 'All of it as plain text: facts, then tables. Valid until the report changes.'),
    "kd_report_write_html": (c_int32, [c_void_p, c_char_p, c_char_p], 'A page of its own, pictures drawn in it, no script and nothing from elsewhere.'),
    "kd_packer_options_init": (None, [POINTER(kd_packer_options), c_size_t], ''),
    "kd_packer_create": (c_int32, [POINTER(c_void_p), c_void_p, c_void_p, POINTER(kd_packer_options)], 'Keeps the tokenizer alive; NULL: only ids are added.'),
    "kd_packer_free": (None, [c_void_p], 'Keeps the tokenizer alive; NULL: only ids are added.'),
    "kd_packer_task": (c_int32, [c_void_p, c_char_p, c_double, POINTER(c_int32)], 'A task with its weight: see kd_packer_mix. Task 0, "all", of weight 1, is\nthere from the beginning. *task is the new one\'s number. Errors: KD_ERR_RANGE (weight below 0), KD_ERR_INVALID (name taken).'),
    "kd_packer_add": (c_int32, [c_void_p, POINTER(kd_record), c_int32], 'Encodes a record into a task. Records with ids are taken as they are. KD_ERR_INVALID: it has no answer.'),
    "kd_packer_add_ids": (c_int32, [c_void_p, POINTER(c_int32), c_void_p, c_int64, POINTER(c_uint64), c_int32], 'Adds ids; mask (count) may be NULL: all are learned.'),
    "kd_packer_add_reader": (c_int32, [c_void_p, c_void_p, c_int32, POINTER(c_int64)], 'Adds all that is left of a reader; *added may be NULL.'),
    "kd_packer_clear": (c_int32, [c_void_p, c_int32], "Drops a task's texts: on-policy training fills it again and again."),
    "kd_packer_mix": (c_int32, [c_void_p, POINTER(c_double), c_int32, c_double], "How tasks are mixed from the next batch on: every task's share of texts is weight n^(1 / temperature), normalised; temperature 1 (default):\nproportional to their numbers, infinity: by weights alone. A host calls it each step for a schedule.                        [Raffel et al. 2020]"),
    "kd_packer_next": (c_int32, [c_void_p, c_void_p], 'Fills `batch` with the next texts, at most as many as are held. Each task is gone through in a new order each time it is through. Never ends.\nKD_ERR_STATE: no texts.'),
    "kd_packer_get_info": (c_int32, [c_void_p, POINTER(kd_packer_info)], ''),
    "kd_packer_task_info": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_int64), POINTER(c_int64), POINTER(c_double)], 'Of one task: its name, texts and tokens held, and how often it was gone through. Any may be NULL.'),
    "kd_packer_get_state": (c_int32, [c_void_p, POINTER(c_int64), POINTER(c_int32)], 'Where it stands, for checkpoints: *count in: room, out: numbers needed; values NULL: ask. The same texts must have been added.'),
    "kd_packer_set_state": (c_int32, [c_void_p, POINTER(c_int64), c_int32], 'Where it stands, for checkpoints: *count in: room, out: numbers needed; values NULL: ask. The same texts must have been added.'),
    "kd_recipe_fill": (c_int32, [POINTER(kd_recipe), c_int32, c_double], "parameters: the student's, which the R1 rates go by (1.5e9: 1e-4, 7e9: 8e-5, 14e9: 7e-5, 32e9: 6e-5, 70e9: 2e-5; between them on the line of\nlogarithms; smaller models as the smallest).                                                              [DeepSeek-AI 2025]"),
    "kd_recipe_learning_rate": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_recipe), c_int64], 'Its learning rate: warm-up, cosine to the floor, times a plateau where patience asks for one: report validation losses, or minus pass@1.'),
    "kd_recipe_temperature": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_recipe), c_int64], 'Its temperature, falling on a line.'),
    "kd_answers_options_init": (None, [POINTER(kd_answers_options), c_size_t], ''),
    "kd_answers_collect": (c_int32, [c_void_p, c_void_p, c_void_p, c_char_p, POINTER(kd_answers_options), POINTER(kd_answers_progress)], "Reads prompts (records; completions they have are left out), and writes `samples` records a prompt behind what `path` holds, in the prompts'\norder: answer, its number, seed, temperature, teacher, score. A file that a killed or cancelled call left is gone on with, from its last whole\nline on, and ends with the bytes of an unbroken run, as an answer depends on model, prompt, sampling and its number alone. generator may be NULL\nwith a function; otherwise it needs a tokenizer, and nothing of the host's may run in it (it would be lost). `done` (may be NULL) gets the last progress.\nKD_ERR_MISMATCH: a line of the file answers another prompt than the reader's, or was sampled with another seed or temperature. KD_ERR_INVALID: a\nprompt of ids only."),
    "kd_answers_judge": (c_int32, [c_void_p, POINTER(kd_verify_options), c_int32, POINTER(c_int32), c_int64, POINTER(kd_answers_result)], 'Judges a file of answers, each prompt\'s answers together and as many for each, against their "expected". k: of pass@k, at most the answers to a\nprompt. rights (NULL or room for room int32): (questions, samples) 0 or 1, for comparisons. result->struct_size is set by the caller.\nErrors: KD_ERR_SHAPE (another number of answers), KD_ERR_INVALID (a record without "expected"), KD_ERR_RANGE (room, k).'),
    "kd_filter_options_init": (None, [POINTER(kd_filter_options), c_size_t], ''),
    "kd_curation_options_init": (None, [POINTER(kd_curation_options), c_size_t], ''),
    "kd_curation_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_curation_options)], ''),
    "kd_curation_free": (None, [c_void_p], ''),
    "kd_curation_add": (c_int32, [c_void_p, c_int32, POINTER(kd_filter_options)], 'Adds a filter at the end. KD_ERR_INVALID: what the kind needs is missing; KD_ERR_RANGE.'),
    "kd_curation_run": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p], "Runs all filters over the reader's records, from its first on. validation may be NULL (with options.validation 0). Runs begin anew each time.\nWhen a call fails, nothing was written behind the failure and the funnel is void."),
    "kd_curation_steps": (c_int32, [c_void_p, POINTER(c_int32)], ''),
    "kd_curation_funnel": (c_int32, [c_void_p, c_int32, POINTER(kd_funnel)], ''),
    "kd_curation_reason": (c_int32, [c_void_p, c_int32, c_int32, POINTER(c_char_p), POINTER(c_int64)], ''),
    "kd_curation_text": (c_int32, [c_void_p, POINTER(c_char_p)], 'The funnel as a table of text; freed by kd_text_free.'),
    "kd_curation_report": (c_int32, [c_void_p, c_void_p, c_char_p], "Into a report under `name` (at most 40 bytes): the funnel, and histograms before and after of lengths, domains and the teacher's pass rates (where a filter verified)."),
    "kd_prompt_is_held_back": (c_int32, [POINTER(c_uint64), c_uint64, c_double, POINTER(c_int32)], 'Which part of a split a prompt falls into: *held 1 with probability `share` (0 to 1), from its key and the seed alone.'),
    "kd_augment_options_init": (None, [POINTER(kd_augment_options), c_size_t], ''),
    "kd_augment": (c_int32, [c_void_p, c_void_p, POINTER(kd_augment_options), POINTER(kd_augment_counts)], 'Numbers are runs of digits, with thousands separators (1,250) and decimals (3.5), not within a word (x2, 2nd), without a sign; equal ones become equal ones. Records\nkeep their domain, id and other members; what belonged to the old text (ids, log-probabilities, seed, score) goes; turns before the prompt stay but for ANSWERS.\nThe reader is rewound and read twice: prompts that are there already are not made again. counts may be NULL.\nKD_ERR_INVALID: no function, no template, a template without {prompt}. KD_ERR_RANGE: kind, copies, low and high.'),
    "kd_mcnemar": (c_int32, [POINTER(c_int32), POINTER(c_int32), c_int64, POINTER(kd_difference)], 'One answer a question, (questions) 0 or 1: exact binomial test over the questions on which they differ.               [McNemar 1947]'),
    "kd_paired_bootstrap": (c_int32, [c_void_p, POINTER(c_int32), POINTER(c_int32), c_int32, c_int64, c_int32, c_int32, c_uint64, POINTER(kd_difference)], 'Several answers a question, (seeds, questions, samples) 0 or 1 of each model; the questions are the same for both and for all seeds. Questions, and\nseeds where there are several, are drawn again `resamples` times (10,000 are usual), the same for both models; the p-value is twice the share of\nresampled differences on the other side of 0, at least 1 / resamples.                                   [Efron and Tibshirani 1993]'),
    "kd_recovery": (c_double, [c_double, c_double, c_double], '(student - baseline) / (teacher - baseline): 1, the student has all that the teacher has more than the baseline; above 1, it exceeds it. NaN when\nteacher and baseline are equal.'),
    "kd_text_metric": (c_int32, [c_void_p, c_int32, POINTER(c_char_p), POINTER(c_char_p), c_int64, POINTER(c_double)], 'One reference a text. KD_ERR_RANGE: count below 1, an unknown kind.'),
    "kd_speed_options_init": (None, [POINTER(kd_speed_options), c_size_t], ''),
    "kd_generation_speed": (c_int32, [c_void_p, POINTER(kd_speed_options), POINTER(kd_speed)], "Generates from prompts of arbitrary tokens and tells how fast. The model's positions must hold prompt and new tokens (KD_ERR_RANGE)."),
    "kd_model_get_facts": (c_int32, [c_void_p, POINTER(kd_model_facts)], ''),
    "kd_checkpoint_options_init": (None, [POINTER(kd_checkpoint_options), c_size_t], ''),
    "kd_checkpoint_create": (c_int32, [POINTER(c_void_p), c_void_p, POINTER(kd_checkpoint_options)], ''),
    "kd_checkpoint_free": (None, [c_void_p], ''),
    "kd_checkpoint_add_model": (c_int32, [c_void_p, c_char_p, c_void_p], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_add_optimizer": (c_int32, [c_void_p, c_char_p, c_void_p], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_add_loader": (c_int32, [c_void_p, c_char_p, c_void_p], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_add_schedule": (c_int32, [c_void_p, c_char_p, c_void_p], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_add_loss": (c_int32, [c_void_p, c_char_p, c_void_p], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_add_monitor": (c_int32, [c_void_p, c_char_p, c_void_p], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_borrow_bytes": (c_int32, [c_void_p, c_char_p, c_void_p, c_size_t], "Registers a part under a name of its own; the handle is kept alive. Bytes are the host's: its step counter and the like,\nborrowed until the checkpoint is freed."),
    "kd_checkpoint_save": (c_int32, [c_void_p, c_char_p], 'Writes all parts beside `path` and moves the file in: the old one stays until the new one is whole.'),
    "kd_checkpoint_load": (c_int32, [c_void_p, c_char_p], "Reads all parts. The file is checked whole first, and nothing changes when it is damaged or does not match.\nKD_ERR_NOT_FOUND (no file), KD_ERR_FORMAT (damaged), KD_ERR_VERSION (newer), KD_ERR_MISMATCH (another run's)."),
}
