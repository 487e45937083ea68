"""The constants of the C headers, as enumerations.

Made by python/generate.py from the headers: do not edit.
"""
from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = [
    "ARRAY_MAX_RANK",
    "AUDIO_MAX_RATE",
    "HASH_BYTES",
    "LOSS_MAX_TERMS",
    "NAME_BYTES",
    "T2",
    "VERSION_MAJOR",
    "VERSION_MINOR",
    "VERSION_PATCH",
    "Align",
    "AnswerFormat",
    "AugmentKind",
    "BadLines",
    "BalanceKind",
    "Block",
    "ChatFormat",
    "ChatPrompt",
    "Choose",
    "Correction",
    "CorrelationKind",
    "Count",
    "DType",
    "Direction",
    "Draw",
    "EndToken",
    "FilterKind",
    "FilterNumber",
    "Framing",
    "Gemm",
    "HashKind",
    "ImportFormat",
    "Isa",
    "LayerChoice",
    "LogLevel",
    "Lookup",
    "LossKind",
    "Mean",
    "MelLog",
    "MelNormalize",
    "MelScale",
    "Members",
    "MetricKind",
    "Missing",
    "Mix",
    "Mode",
    "Nonfinite",
    "Normalize",
    "OptimizerKind",
    "OptimizerNumber",
    "OptimizerRule",
    "OutputUnit",
    "PairDirection",
    "Picture",
    "PlanAdvice",
    "Positives",
    "Products",
    "Projection",
    "ProjectionStart",
    "Reasoning",
    "RecipeKind",
    "Resample",
    "Retemper",
    "RetrievalKind",
    "SincWindow",
    "SparseKind",
    "Status",
    "StopReason",
    "StoreKind",
    "Sync",
    "Tail",
    "TermNumber",
    "TextFlag",
    "TextMetric",
    "TokenFlag",
    "Unit",
    "Verdict",
    "Verifier",
    "Window",
]

VERSION_MAJOR = 0
VERSION_MINOR = 2
VERSION_PATCH = 0
ARRAY_MAX_RANK = 8
NAME_BYTES = 64
LOSS_MAX_TERMS = 64
HASH_BYTES = 33
AUDIO_MAX_RATE = 1000000


class Status(IntEnum):
    """What a call returned. C: `KD_...`."""

    #: success
    OK = 0
    #: no more data (kd_loader_next)
    END = 1
    #: NULL handle, unknown option, meaningless argument
    ERR_INVALID = -1
    #: the allocator returned NULL
    ERR_MEMORY = -2
    #: an array or file has an unexpected shape
    ERR_SHAPE = -3
    #: an array or file has an unexpected element type
    ERR_DTYPE = -4
    #: a number or label is out of bounds
    ERR_RANGE = -5
    #: no such file, field, output, sample or tensor
    ERR_NOT_FOUND = -6
    #: the system failed to read or write; the message has errno
    ERR_IO = -7
    #: a file is damaged or is not what it claims to be
    ERR_FORMAT = -8
    #: a file or struct from a newer version
    ERR_VERSION = -9
    #: a model config has an unknown or impossible key
    ERR_CONFIG = -10
    #: NaN or infinity where a finite number is needed
    ERR_NONFINITE = -11
    #: calls in the wrong order
    ERR_STATE = -12
    #: kd_context_cancel was called, or a progress callback asked to stop
    ERR_CANCELED = -13
    #: a callback of the host failed
    ERR_CALLBACK = -14
    #: a feature that is not supported or not in this build
    ERR_UNSUPPORTED = -15
    #: a checkpoint or teacher was made for something else
    ERR_MISMATCH = -16
    #: the system could not start a thread
    ERR_THREAD = -17
    #: another rank of an exchange cannot go on; the message says why
    ERR_PEER = -18


class DType(IntEnum):
    """Types of elements. C: `KD_...`."""

    FLOAT32 = 1
    FLOAT64 = 2
    FLOAT16 = 3
    BFLOAT16 = 4
    INT8 = 5
    INT16 = 6
    INT32 = 7
    INT64 = 8
    UINT8 = 9
    UINT16 = 10
    UINT32 = 11
    UINT64 = 12


class LogLevel(IntEnum):
    """Levels of log lines. C: `KD_LOG_...`."""

    ERROR = 1
    WARNING = 2
    INFO = 3


class Isa(IntEnum):
    """Instruction sets of the library's kernels. C: `KD_ISA_...`."""

    AUTO = 0
    #: plain C for the compiler's baseline processor (SSE2, NEON)
    PORTABLE = 1
    #: AVX2 and FMA
    AVX2 = 2
    #: AVX-512 F, BW, DQ, VL
    AVX512 = 3


class Gemm(IntEnum):
    """Who computes matrix products. C: `KD_GEMM_...`."""

    #: the library where BLAS would run kernels for an older processor, else CBLAS
    AUTO = 0
    #: always CBLAS
    BLAS = 1
    #: always the library
    OWN = 2


class Products(IntEnum):
    """In what numbers products are computed. C: `KD_PRECISION_...`."""

    FLOAT32 = 0
    BFLOAT16 = 1
    #: bfloat16 if a measurement at creation finds it 1.2 times as fast as float32, else float32
    MEASURED = 2


class Resample(IntEnum):
    """Filters of a resize. C: `KD_RESAMPLE_...`."""

    #: sinc(x) sinc(x / 3) for |x| < 3
    LANCZOS = 1
    #: 1 - |x| for |x| < 1
    BILINEAR = 2
    #: Keys's cubic for |x| < 2, a = -1/2
    BICUBIC = 3
    #: 1 for -1/2 < x <= 1/2
    BOX = 4


class Block(IntEnum):
    """Formats of numbers in blocks. C: `KD_BLOCK_...`."""

    Q4_0 = 258
    Q4_1 = 259
    Q5_0 = 262
    Q5_1 = 263
    Q8_0 = 264
    Q2_K = 266
    Q3_K = 267
    Q4_K = 268
    Q5_K = 269
    Q6_K = 270
    IQ4_NL = 276
    IQ4_XS = 279
    MXFP4 = 295


class Mix(IntEnum):
    """Which matrices of a GGUF file get more bits. C: `KD_MIX_...`."""

    #: none: every matrix is in the format
    PURE = 0
    #: as llama-quantize does for Q4_K_S, Q5_K_S and Q4_0
    SMALL = 1
    #: as it does for Q4_K_M, Q5_K_M; other formats have one mixture
    MEDIUM = 2


class Mode(IntEnum):
    """What a forward pass is for. C: `KD_MODE_...`."""

    #: no dropout; nothing is kept for a backward pass
    EVALUATE = 0
    #: dropout; a backward pass may follow
    TRAIN = 1
    #: What a KD_MODE_TRAIN pass would give, dropout included, with the memory of KD_MODE_EVALUATE:
    #: see kd_model_forward. Since 0.2
    REHEARSE = 3


class OutputUnit(IntEnum):
    """What an output has one row for. C: `KD_UNIT_OF_...`."""

    ROW = 0
    SAMPLE = 1
    #: a parameter that is read as an output: "logit_scale"
    BATCH = 2


class LayerChoice(IntEnum):
    """Which layer belongs to a student's layer. C: `KD_LAYERS_...`."""

    #: round(i (L - 1) / (l - 1)): first and last are kept
    UNIFORM = 0
    #: i
    FIRST = 1
    #: L - l + i
    LAST = 2
    #: (i + 1) L / l - 1: the ends of l equal blocks
    BLOCKS = 3
    #: found on texts, for kd_student_options.choose alone: see there
    INFLUENCE = 4
    GREEDY = 5


class Align(IntEnum):
    """Which row's label belongs to a row. C: `KD_ALIGN_...`."""

    #: its own
    SAME = 0
    #: the next row's of the same sample (language models); a sample's last row has none
    NEXT = 1


class Lookup(IntEnum):
    """How a teacher finds its answer. C: `KD_LOOKUP_...`."""

    #: row i of an array is sample number i of the loader's dataset
    INDEX = 0
    #: by the sample's 128-bit key (see kdistill/data.h)
    KEY = 1


class Missing(IntEnum):
    """What happens where a teacher has no answer. C: `KD_MISSING_...`."""

    #: a sample without an answer, or longer than the answering record: KD_ERR_NOT_FOUND
    ERROR = 0
    #: its rows have no teacher: terms skip and count them
    ABSENT = 1


class Mean(IntEnum):
    """What an ensemble averages. C: `KD_MEAN_OF_...`."""

    #: log of the weighted mean of softmax(logits): right for forward KL
    PROBABILITIES = 0
    #: weighted mean of logits
    LOGITS = 1


class SparseKind(IntEnum):
    """Kinds of sparse targets. C: `KD_SPARSE_...`."""

    #: the largest classes, their log-probabilities, and the log of the mass outside
    TOPK = 0
    #: classes drawn from p, and how often: forward KL only, at the temperature of the draws
    COUNTS = 1


class StoreKind(IntEnum):
    """Kinds of fields in a store. C: `KD_STORE_...`."""

    #: logits, width = padded_vocabulary or vocabulary; encoding float32, float16, bfloat16
    DENSE = 1
    #: ids, log-probabilities, log of the mass outside at every temperature of the store
    TOPK = 2
    #: ids and counts of draws at the store's temperature
    COUNTS = 3
    #: the last hidden state (after the final norm), rotated, 3 to 8 bits; with the head in the
    #: store, it is read as "logits": dense, at any temperature
    HIDDEN = 4
    #: other hidden states, embeddings, one number per row: float32, float16, or int8 with a scale
    #: per row; through a fixed random projection if projection is not 0
    VECTORS = 5
    #: one integer per row
    LABELS = 6
    #: bytes, one text per sample
    TEXT = 7
    #: one float64 per sample (a verifier's)
    SCORE = 8
    #: one uint64 per sample (an augmentation's)
    SEED = 9
    #: one vector per sample (a text's embedding): float32, float16, or int8 with a scale; through a
    #: fixed random projection if projection is not 0. It is read as a field of samples. A record of
    #: nothing else has no positions and answers for its key, whatever tokens a batch makes of it: a
    #: student may have another tokenizer than the teacher
    EMBEDDING = 10


class Sync(IntEnum):
    """When a store's writer waits for the disk. C: `KD_SYNC_...`."""

    #: a killed process loses nothing; a power failure may
    NEVER = 0
    #: on close
    CLOSE = 1
    #: on every commit
    COMMIT = 2


class ImportFormat(IntEnum):
    """Whose answers are imported. C: `KD_IMPORT_...`."""

    OPENAI = 1
    VLLM = 2
    FLAT = 3
    LLAMA_CPP = 4
    SGLANG = 5
    TGI = 6


class TextFlag(IntFlag):
    """How special tokens are treated. C: `KD_TOKENIZER_...`."""

    #: encode: adds what the file's post-processor puts around a text (a begin token, for most
    #: Llamas)
    ADD_SPECIAL = 1
    #: decode: leaves out special tokens, except, as the package does, those that the normalizer
    #: changes
    SKIP_SPECIAL = 2


class TokenFlag(IntFlag):
    """What a token is. C: `KD_TOKEN_...`."""

    SPECIAL = 1
    ADDED = 2


class EndToken(IntEnum):
    """In place of an end token's id. C: `KD_END_TOKEN_...`."""

    #: no end token
    NONE = -1
    #: the tokenizer's own
    DEFAULT = -2


class HashKind(IntEnum):
    """What is hashed. C: `KD_HASH_...`."""

    #: tokens with their ids, merges, and the processing of texts before them
    TOKENIZER = 0
    #: the chat template's text
    TEMPLATE = 1


class ChatPrompt(IntEnum):
    """Where a chat's text ends. C: `KD_CHAT_PROMPT_...`."""

    #: as the template ends a finished chat
    NONE = 0
    #: where the assistant's next answer begins
    ANSWER = 1
    #: after the content of the last turn
    CONTINUE = 2
    #: after its reasoning_content (or reasoning, thinking)
    CONTINUE_THOUGHT = 3


class ChatFormat(IntEnum):
    """How chats are written. C: `KD_CHAT_...`."""

    #: begin token, prompt, completion, end token
    PLAIN = -1
    #: renders the folder's own template (docs/chat-templates.md); KD_ERR_UNSUPPORTED if it has
    #: none, or one that needs something unsupported
    AUTO = 0
    #: <|im_start|>role\ncontent<|im_end|>\n (Qwen, SmolLM2)
    CHATML = 1
    #: <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|>
    LLAMA3 = 2
    #: <s>[INST] <<SYS>>\nsystem\n<</SYS>>\n\nuser [/INST] assistant </s>
    LLAMA2 = 3
    #: DeepSeek-R1: <|User|>content<|Assistant|>content<|end_of_sentence|>, with the family's own
    #: bars; <think> opens the answer to be generated, and earlier turns lose their reasoning up to
    #: </think>
    DEEPSEEK = 4


class BadLines(IntEnum):
    """What happens to broken lines. C: `KD_BAD_LINES_...`."""

    #: KD_ERR_FORMAT names the file and line; the next call continues after it
    REFUSE = 0
    #: left out, counted, logged as a warning
    SKIP = 1


class Members(IntEnum):
    """What happens to members that are not read. C: `KD_MEMBERS_...`."""

    #: the line is bad: the message names the member
    REFUSE = 0
    #: kept in "extra" and counted; one warning in the log names it
    KEEP = 1
    #: left out, counted and logged
    DROP = 2


class Reasoning(IntEnum):
    """Where an answer's reasoning goes. C: `KD_REASONING_...`."""

    #: <think>\n..\n</think>\n\n before the answer's text
    TAGS = 0
    #: a member of its turn, for templates that read one; `completion` has it in tags regardless
    MEMBER = 1


class Draw(IntEnum):
    """How a token is drawn. C: `KD_DRAW_...`."""

    INVERSE = 0
    GUMBEL = 1


class StopReason(IntEnum):
    """Why a text ended. C: `KD_STOP_...`."""

    LENGTH = 0
    TOKEN = 1
    TEXT = 2
    HOST = 3


class Verifier(IntFlag):
    """How an answer is compared. C: `KD_VERIFY_...`."""

    #: the answers are the same bytes, ignoring white space at the ends
    EXACT = 1
    #: the same, ignoring case, white space, final punctuation, and leading articles
    NORMALIZED = 2
    #: the same number: see below
    NUMBER = 4
    #: the same letter: "B", "(B)", "B.", "option b", "B) 5 cm"
    CHOICE = 8
    #: the same in mathematics: see below
    LATEX = 16
    #: the whole answer matches `pattern`: see below; `expected` is not read
    PATTERN = 32
    #: what `function` says
    HOST = 64


class AnswerFormat(IntFlag):
    """What an answer must keep to. C: `KD_FORMAT_...`."""

    #: format: one <think>...</think> (or another pair of marks, docs/verify.md), closed, not empty,
    #: with something after it
    THINK = 1
    #: one \boxed{...}, closed
    BOXED = 2


class LossKind(IntEnum):
    """Kinds of loss terms. C: `KD_LOSS_...`."""

    #: -log q_y at T = 1; label smoothing e: target (1-e) y + e/V
    CROSS_ENTROPY = 1
    #: [T^2] sum p log(p/q) [Hinton 2015]
    FORWARD_KL = 2
    #: [T^2] sum q log(q/p) [MiniLLM 2023]
    REVERSE_KL = 3
    #: [T^2] b KL(p,M) + (1-b) KL(q,M), M = b p + (1-b) q [GKD 2023]
    JSD = 4
    #: 1/(2V) sum (z - v)^2, both centered (T is not used)
    LOGIT_MSE = 5
    #: [T^2] alpha TCKD + beta NCKD, needs labels [Zhao 2022]
    DKD = 6
    #: sum over outputs of -[t log s(z) + (1-t) log s(-z)], s logistic, t in 0..1 the label field
    BINARY_CROSS_ENTROPY = 7
    #: [T^2] sum over outputs of KL(Bernoulli(s(v/T)), Bernoulli(s(z/T)))
    BINARY_KL = 8
    #: 1/width sum (z - t)^2; t: teacher_field, else labels
    MEAN_SQUARED_ERROR = 9
    #: 1/width sum of Huber(z - t) with delta; t as above
    HUBER = 10
    #: [T^2] KL(p, M), M = skew p + (1-skew) q [DistiLLM 2024]
    SKEWED_FORWARD_KL = 11
    #: [T^2] KL(q, M), M = skew q + (1-skew) p [DistiLLM 2024]
    SKEWED_REVERSE_KL = 12
    #: 1/2 sum |p - q|
    TOTAL_VARIATION = 13
    #: [T^2] -1/(ab) sum p^a q^b - a/(a+b) p^(a+b) - b/(a+b) q^(a+b), its limits [Cichocki 2011]
    ALPHA_BETA = 14
    #: [T^2] w_h KL(p,q) + w_t KL(q,p), w: shares of |p - q| in the teacher's head, tail [Wu 2024]
    ADAPTIVE_KL = 15
    #: [T^2] KL(softmax(((1-t) z + t v)/T), q), target detached [Shing 2025]
    TAID = 16
    #: [T^2] forward KL of standardized logits [Sun 2024]
    STANDARDIZED_KL = 17
    #: 1 - Pearson per row + mean over columns; sums over rows [Huang 2022]
    DIST = 18
    #: sum |sort q - sort p|, the shorter side padded with 0: a teacher with another tokenizer
    #: [Boizard 2024]. For a top-k teacher: by rank down to k, then the masses below
    #: (KD_TAIL_BUCKET)
    ULD = 19
    #: log q_y - log p_y, gradient -a (onehot - q), a = log p_y - log q_y detached, T = 1; the
    #: teacher's field "log_probability" has log p_y of the sampled token, one number per row
    POLICY_GRADIENT = 20
    #: -log sum min(p, q): drafts [arXiv 2602.23881]
    ACCEPTANCE = 40
    #: 1 - cos(s, t) [row]
    HIDDEN_COSINE = 21
    #: |s - t|, gradient 0 at 0 [row]
    HIDDEN_DISTANCE = 22
    #: 1/d sum 1/2 log v_k + (s_k - t_k)^2 / (2 v_k), v_k = 1e-5 + softplus(rho_k): rho (d) is a
    #: parameter of the loss, v is 5 at first. May be negative [width; Ahn et al. 2019]
    VARIATIONAL = 23
    #: Maps (rows, channels, height, width): 1/P sum_p (q_p - q^t_p)^2, q the mean square over
    #: channels at length 1 over the P places; of unlike sizes the larger map is averaged to the
    #: smaller, and channels may differ. No projection, first or normalize [row; Zagoruyko and
    #: Komodakis 2017]
    ATTENTION_TRANSFER = 24
    #: 1/b^2 |G_s - G_t|^2, G = S S', rows at length 1 [Tung 2019]
    SIMILARITY = 25
    #: 1/b^2 |U U' - W W'|^2 [pairs]
    GRAM = 26
    #: 1/b^2 sum of Huber(1) of distances over their mean, both sides' [pairs; Park et al. 2019]
    RKD_DISTANCE = 27
    #: 1/b^3 sum of Huber(1) of cosines of the angles of three rows; b >= 3; holds 6 b^2 doubles
    #: [triples; Park et al. 2019]
    RKD_ANGLE = 28
    #: 1/b^2 sum p log(p / q), p and q rows of (1 + cosine) / 2 over their sum [Passalis 2018]
    PKT = 29
    #: 1 - |S'T|^2 / (|S'S| |T'T|), columns centered; KD_TERM_UNBIASED: b >= 4, may leave 0 .. 1
    #: [Kornblith et al. 2019]
    CKA = 30
    #: 1/b sum KL(p_i, q_i), p_i the softmax over the other rows of cosines over a temperature, the
    #: term's and KD_TERM_TEACHER_TEMPERATURE [Fang et al. 2021]
    RELATION_KL = 31
    #: 1/A sum_a KL(R^t_a, R_a), R_a = softmax(X_a X_a' / sqrt(d / A)), X_a the a-th of A equal
    #: parts of the row: of queries, keys or values. A: KD_TERM_RELATION_HEADS, else 48 if it
    #: divides both widths, else the greatest common divisor of both models' heads [head; Wang et
    #: al. 2021]
    ATTENTION_RELATION = 35
    #: Both names end in .query; the keys are found beside them, as .key. The heads of both sides
    #: must be as many (KD_ERR_MISMATCH); D: numbers of a head; key heads may be fewer. 1/A sum_a
    #: KL(P^t_a, P_a), P_a = softmax(Q_a K_a' / sqrt(D)) [head; Wang et al. 2020]
    ATTENTION_KL = 36
    #: 1/A sum_a 1/n |Z_a - Z^t_a|^2, Z_a = Q_a K_a' / sqrt(D), n the rows that a row sees [head;
    #: Jiao et al. 2020]
    ATTENTION_MSE = 37
    #: 1/n sum_i 1/|P_i| sum_(j in P_i) -log softmax_j z_i, the same from the candidates' side, and
    #: half of both. Rows whose group the other side has not are candidates alone [Radford et al.
    #: 2021]
    CONTRASTIVE = 32
    #: -1/n sum_ij log sigmoid(+-(z_ij + KD_TERM_BIAS)), + where they belong together. No directions
    #: [Zhai et al. 2023, who begin at scale 10 and bias -10]
    SIGMOID_CONTRASTIVE = 33
    #: 1/n sum_i KL(softmax_j z^t_i, softmax_j z_i), the same from the other side, and half of both;
    #: z^t of the teacher's two sides, teacher_field and other_teacher_field, whose width may be
    #: another. Groups are not asked for [Wu et al. 2023; Vasu et al. 2024]
    AFFINITY_KL = 34
    #: 1/n sum_i 2 / (c (c - 1)) sum_(j<k in C_i) ((z_ij - z_ik) - (y_j - y_k))^2. Scores are
    #: compared directly: choose KD_TERM_SCALE so that z may reach as far as y does [Hofstaetter et
    #: al. 2020]
    MARGIN_MSE = 38
    #: 1/n sum_i KL(softmax_(j in C_i) y_j, softmax_(j in C_i) z_ij) [Ren et al. 2021]
    LISTWISE_KL = 39


class T2(IntEnum):
    """Scaling of a term by the squared temperature. C: `KD_T2_...`."""

    #: T^2 scaling as listed above
    DEFAULT = 0
    ON = 1
    OFF = 2


class Tail(IntEnum):
    """What is assumed of the mass outside a sparse teacher's ids. C: `KD_TAIL_...`."""

    #: one more class holds it
    BUCKET = 0
    #: spread evenly over the student's real classes outside the ids
    UNIFORM = 1
    #: none: p/m on the ids, 0 elsewhere
    RENORM_TEACHER = 2
    #: ratios inside the ids only, both sides renormalized there
    RENORM_BOTH = 3
    #: ignored: the sum is over the ids (forward, skewed forward KL)
    TRUNCATE = 4


class Retemper(IntEnum):
    """A sparse teacher at another temperature. C: `KD_RETEMPER_...`."""

    #: never known
    EXACT = 0
    #: the tail is taken as spread evenly
    UNIFORM = 1
    #: interpolated between stored tails, from the lowest temperature; needs one besides its own
    BETWEEN = 2


class Correction(IntEnum):
    """A teacher whose largest class is not the label. C: `KD_CORRECT_...`."""

    NONE = 0
    #: the row contributes 0; denominators still count it
    DROP = 1
    #: p of the largest class and p of the label are swapped
    SWAP = 2
    #: p' = b onehot + (1 - b) p, smallest b that makes the label win
    MIX = 3


class Nonfinite(IntEnum):
    """What happens to rows that are not finite. C: `KD_NONFINITE_...`."""

    #: KD_ERR_NONFINITE with the row; nothing is accumulated
    REFUSE = 0
    #: skipped and counted
    SKIP = 1


class Count(IntEnum):
    """What denominators count. C: `KD_COUNT_...`."""

    #: denominators count valid rows,
    ROWS = 0
    #: or sum their weights
    WEIGHTS = 1


class TermNumber(IntEnum):
    """Numbers of a term that may change between calls. C: `KD_TERM_...`."""

    #: T; .01 .. 1000, 1; all kinds
    TEMPERATURE = 1
    #: that of kd_loss_add; -1e6 .. 1e6; all kinds
    WEIGHT = 2
    #: e; 0 .. 1, 0; cross-entropy
    LABEL_SMOOTHING = 3
    #: b; 0 .. 1, .5; JSD
    TEACHER_SHARE = 4
    #: target's part; 0 .. 1e6, 1; DKD
    DKD_ALPHA = 5
    #: other classes; 0 .. 1e6, 8; DKD
    DKD_BETA = 6
    #: 1e-6 .. 1e6, 1; Huber
    HUBER_DELTA = 7
    #: 0 .. 1, .1; both skewed KL
    SKEW = 8
    #: a; -2 .. 2, .2; alpha-beta
    AB_ALPHA = 9
    #: b; -2 .. 2, .7; alpha-beta
    AB_BETA = 10
    #: 0 .. 1, .5; adaptive KL
    HEAD_MASS = 11
    #: t; 0 .. 1, .4; TAID
    PROGRESS = 12
    #: gamma; 0 .. 100, 0; kinds with p
    CONFIDENCE_POWER = 13
    #: -1e6 .. 0, 0; reverse, adaptive KL
    LOG_FLOOR = 14
    #: 1: over b (1 - b), 0 is forward, 1 reverse KL; 0 or 1, 0; JSD
    NORMALIZED = 15
    #: 1: M is a constant; 0 or 1, 0; skewed reverse KL
    DETACH_MIXTURE = 16
    #: the first n numbers of both sides, 0: all; 0 .. 2^31, 0
    FIRST = 17
    #: KD_NORMALIZE_DEFAULT ...; 0 .. 3, 0
    NORMALIZE = 18
    #: 35 to 37: heads of a row, 0: as the kind says; 0 .. 2^16, 0
    RELATION_HEADS = 19
    #: CKA, 1: unbiased HSIC [Song et al. 2012]; 0 or 1, 0
    UNBIASED = 20
    #: relation KL: the teacher's, 0: the term's; 0 .. 1000, 0
    TEACHER_TEMPERATURE = 21
    #: 35 to 37: 1: a row sees no later row, 0: as the student's model; 0 or 1, 0
    CAUSAL = 22
    #: 32 to 34, 38, 39: of dot products; 1e-6 .. 1000, 20
    SCALE = 23
    #: 34, 38, 39: the teacher's, 0: KD_TERM_SCALE, 1; 0 .. 1000, 0
    TEACHER_SCALE = 24
    #: 33; -1000 .. 1000, -10
    BIAS = 25


class Normalize(IntEnum):
    """What rows of features are normalized to. C: `KD_NORMALIZE_...`."""

    #: as the kind says: none, unless its formula does
    DEFAULT = 0
    NONE = 1
    #: each row to length 1; a row of zeros is not finite
    ROWS = 2
    #: each row to mean 0 and deviation 1, as a layer norm without weights (epsilon 1e-5)
    LAYER = 3


class ProjectionStart(IntEnum):
    """How a projection begins. C: `KD_PROJECTION_START_...`."""

    UNIFORM = 0
    IDENTITY = 1
    #: rows or columns orthonormal; biases 0
    ORTHOGONAL = 2


class Projection(IntEnum):
    """Kinds of projections. C: `KD_PROJECTION_...`."""

    #: s W'
    LINEAR = 1
    #: s W' + b
    LINEAR_BIAS = 2
    #: ReLU(s W0' + b0) W2' + b2, 2 from numbers between
    MLP = 3
    #: s W', with rows (columns, where it widens) of W orthonormal: made so again when a pass begins
    ORTHOGONAL = 4


class PairDirection(IntEnum):
    """Which side of a pair finds the other. C: `KD_DIRECTION_...`."""

    BOTH = 0
    #: each anchor finds its candidates
    TO_OTHER = 1
    #: each candidate finds its anchors
    FROM_OTHER = 2


class Positives(IntEnum):
    """What the other rows of a group are. C: `KD_POSITIVES_...`."""

    #: all rows of a group are each other's positives, in equal parts
    MEAN = 0
    MASK = 1


class Direction(IntEnum):
    """Which way a metric improves. C: `KD_BETTER_...`."""

    LOWER = 0
    HIGHER = 1


class BalanceKind(IntEnum):
    """Where weights of tasks come from. C: `KD_BALANCE_...`."""

    #: c_i
    STATIC = 0
    #: C (c_i / m_i) / sum_j (c_j / m_j), m the running mean of what was reported: every task's part
    #: of the loss is as large. 1 / (2 m) is the optimum of the learned weights 1 / (2 s^2) of L /
    #: (2 s^2) + log s, whose s^2 = L [Kendall et al. 2018, eq. 5]
    MEAN = 1
    #: C c_i exp(r_i / T) / sum_j c_j exp(r_j / T), r = mean of the last epoch over that of the one
    #: before it; what falls slower weighs more [Liu et al. 2019, 1803.10704, eq. 7]
    DWA = 2


class OptimizerRule(IntEnum):
    """Whose step a group of an optimizer takes. C: `KD_RULE_...`."""

    DEFAULT = 0
    ADAMW = 1
    MUON = 2


class OptimizerKind(IntEnum):
    """Rules of optimization. C: `KD_OPTIMIZER_...`."""

    #: g += wd p; m = momentum m + g; p -= lr m (Nesterov: p -= lr (g + momentum m))
    SGD = 1
    #: p -= lr wd p; p -= lr m^ / (sqrt(v^) + eps): decoupled decay [Loshchilov and Hutter 2019,
    #: alg. 2]
    ADAMW = 2
    #: g += wd p; p -= lr m^ / (sqrt(v^) + eps): true L2 [Kingma and Ba 2015, alg. 1]
    ADAM = 3
    MUON = 4


class OptimizerNumber(IntEnum):
    """Numbers of an optimizer that may change between steps. C: `KD_STEP_...`."""

    #: 0 .. 1e30, default 1: "divide once at the end" of accumulation
    GRADIENT_SCALE = 1
    #: 0 .. 1e6: of parameters that no group names
    WEIGHT_DECAY = 2
    #: 0 .. 1e30
    CLIP_NORM = 3
    #: 0 .. 1e30
    CLIP_VALUE = 4
    #: 0 .. 1e30: of parameters that no group names
    MAX_NORM = 5
    #: 0 .. 1
    MOMENTUM = 6
    #: 0 .. 1; only if it was above 0 at creation
    AVERAGE_DECAY = 7


class Verdict(IntFlag):
    """What a monitor says to a metric. C: `KD_MONITOR_...`."""

    IMPROVED = 1
    STOP = 2


class MetricKind(IntEnum):
    """Kinds of metrics. C: `KD_METRIC_...`."""

    #: share of rows whose argmax is the label
    ACCURACY = 1
    #: share of rows whose label is among the top_k highest
    TOP_K = 2
    #: mean of 2 P R / (P + R) over the classes that occur
    MACRO_F1 = 3
    #: mean -log q_y, nats
    NLL = 4
    #: expected calibration error: sum over bins of share |acc - conf| [Guo et al. 2017]
    ECE = 5
    #: share of rows whose argmax is the teacher's
    AGREEMENT = 6
    #: mean KL(teacher, student) at T = 1, nats
    TEACHER_KL = 7
    ACCURACY_WHERE_TEACHER_WRONG = 8
    ROWS = 9


class RetrievalKind(IntEnum):
    """How retrieval is judged. C: `KD_RETRIEVAL_...`."""

    #: share of queries with a candidate of their group among the first k
    RECALL = 1
    #: mean of 1 / place of the first candidate of the group; k is not read
    MRR = 2
    #: mean of the sum over candidates of the group among the first k of 1 / log2(1 + place), over
    #: the largest such sum [Jarvelin and Kekalainen 2002]
    NDCG = 3
    #: share of queries whose group is that of most of the k nearest; of several, the nearest one's
    VOTE = 4


class CorrelationKind(IntEnum):
    """Kinds of correlation. C: `KD_CORRELATION_...`."""

    PEARSON = 1
    #: of ranks; equal values share the mean of their ranks. Sentence embeddings are judged by that
    #: of cosines and scores (STS-B)
    SPEARMAN = 2


class PlanAdvice(IntFlag):
    """What the numbers of a plan say. C: `KD_PLAN_...`."""

    #: a rank needs more than memory_bytes
    MEMORY = 1
    #: more than 90 days
    TIME = 2
    #: ranks wait for the network for more than a fifth of the time
    NETWORK = 4
    #: the store has more than a hundred times the bytes of the texts
    STORE = 8
    #: attention takes a third of the training or more: windows save it
    ATTENTION = 16
    #: fewer tokens in a batch than there are ranks
    BATCH = 32


class Picture(IntEnum):
    """How a series is drawn. C: `KD_PICTURE_...`."""

    LINES = 0
    #: accuracy against size
    POINTS = 1
    #: x: left edges of the bars, or 0, 1, ...
    BARS = 2
    #: one row per series, with its name: x is low end, value, high end; y is NULL
    INTERVALS = 3


class RecipeKind(IntEnum):
    """Ready numbers of a training run. C: `KD_RECIPE_...`."""

    #: DeepSeek-R1's distillation: texts only, 2 epochs, warm-up, cosine to a tenth, 64 texts per
    #: batch, up to 32,768 tokens each
    R1 = 1
    #: the same plus a teacher's distributions: share .9, temperature falling from 2 to 1
    MIXED = 2
    #: models of 100 k to 10 M parameters trained from scratch: rates of 1e-3 and more
    SMALL = 3


class FilterKind(IntEnum):
    """Kinds of filters. C: `KD_FILTER_...`."""

    #: Completions that are shorter than MIN_LENGTH or longer than MAX_LENGTH, and those that were
    #: cut off. unit
    LENGTH = 1
    #: Loops: more than MAX_REPEATED_SHARE of the completion's n-grams came before in it, or its
    #: last 4 to 200 bytes stand LOOP_COUNT times in a row at its end. ngram (4 words)
    REPETITION = 2
    #: Mixed scripts: more than MAX_SCRIPT_SHARE of the completion's letters are of another script
    #: than most, and the prompt has none of that script. Latin, Greek, Cyrillic, Hebrew, Arabic,
    #: Indic, Thai, Hangul, Kana with Han
    SCRIPTS = 3
    #: Unclosed or doubled <think> (or another mark of docs/verify.md), code fences, \boxed{,
    #: environments, $$
    MARKUP = 4
    #: A paragraph (up to an empty line) that is longer than MAX_PARAGRAPH. unit
    PARAGRAPHS = 5
    DUPLICATES = 6
    #: An estimated Jaccard similarity of n-grams above MAX_SIMILARITY with one before that was
    #: kept: MinHash, 128 permutations in bands chosen for that number [Broder 1997]. ngram (5
    #: words)
    NEAR_DUPLICATES = 7
    #: An n-gram of prompt or completion is in a text of `tests`; texts of `tests` that are shorter
    #: are compared whole with the prompt, signs included. Words are compared without case and
    #: punctuation. tests; ngram (10 [Shao et al. 2024]); unit (words, or the tokenizer's tokens)
    CONTAMINATION = 8
    #: The completion's answer is not the record's "expected"; records without one. verify
    VERIFY = 9
    SCORE = 10
    #: What `function` says; it may change score and domain. function, user
    HOST = 11
    #: Prompts of which a share of right answers below MIN_PASS_RATE or above MAX_PASS_RATE came:
    #: the teacher's own difficulty. verify
    PASS_RATE = 12
    #: All but MAX_PER_PROMPT records of each prompt. choose; unit (of the shortest); ngram (5
    #: words: of the most varied)
    BEST = 13
    #: What a domain has more than its part: `domains` with `shares`, or (no domains) each at most
    #: MAX_DOMAIN_RATIO times as much as the rarest. domains, shares; unit (records)
    BALANCE = 14
    #: So many that short ones (at most SHORT_LENGTH) are SHORT_SHARE of the records. unit
    LENGTH_MIX = 15
    #: Prompts whose most frequent answer has less than MIN_AGREEMENT of the answers, and the
    #: records with another answer; "expected", where it is empty, becomes that answer [Wang et al.
    #: 2023]. verify
    AGREEMENT = 16
    SAMPLE = 17
    LANGUAGES = 18


class FilterNumber(IntEnum):
    """Numbers of a filter that may change between runs. C: `KD_CURATION_...`."""

    #: LENGTH: the shortest that stays; 0 .., 1
    MIN_LENGTH = 1
    #: LENGTH: the longest; 0 .., 0: no limit
    MAX_LENGTH = 2
    #: PARAGRAPHS: the longest; 1 .., 2000
    MAX_PARAGRAPH = 3
    #: REPETITION: of n-grams; 0 .. 1, .3
    MAX_REPEATED_SHARE = 4
    #: REPETITION: times in a row; 2 .., 4
    LOOP_COUNT = 5
    #: SCRIPTS: of letters; 0 .. 1, .05
    MAX_SCRIPT_SHARE = 6
    #: NEAR_DUPLICATES: Jaccard; 0 .. 1, .8 [Lee et al. 2022]
    MAX_SIMILARITY = 7
    #: SCORE: the lowest that stays; any, .5
    MIN_SCORE = 8
    #: PASS_RATE: 0 .. 1, .001: what nobody solves goes
    MIN_PASS_RATE = 9
    #: PASS_RATE: 0 .. 1, 1; below 1 what all solve goes
    MAX_PASS_RATE = 10
    #: BEST: records that stay; 1 .., 1
    MAX_PER_PROMPT = 11
    #: BALANCE: a domain's over the rarest's; 0 .., 1
    MAX_DOMAIN_RATIO = 12
    #: LENGTH_MIX: the longest short one; 0 .., 1000
    SHORT_LENGTH = 13
    #: LENGTH_MIX: of short ones; 0 .. 1, .8 [Li et al. 2025]
    SHORT_SHARE = 14
    #: AGREEMENT: of a prompt's answers; 0 .. 1, .5
    MIN_AGREEMENT = 15
    #: SAMPLE: records that stay; 1 .., 1000
    MAX_RECORDS = 16
    #: LANGUAGES: function words; 0 .., 4
    MIN_FOREIGN_WORDS = 17
    #: LANGUAGES: of function words; 0 .. 1, .2
    MAX_FOREIGN_SHARE = 18


class Unit(IntEnum):
    """In what a filter counts. C: `KD_UNIT_...`."""

    BYTES = 0
    #: runs without white space; each character of a script that has none (docs/records.md)
    WORDS = 1
    #: of the curation's tokenizer
    TOKENS = 2
    RECORDS = 3


class Choose(IntEnum):
    """Which records of a prompt are the best. C: `KD_CHOOSE_...`."""

    #: the highest score, then the first
    SCORE = 0
    SHORTEST = 1
    #: the first, then always the one least like those chosen (Jaccard of words, by MinHash)
    VARIED = 2


class SincWindow(IntEnum):
    """Windows of a sinc. C: `KD_SINC_...`."""

    KAISER = 0
    HANN = 1


class Window(IntEnum):
    """Windows of frames. C: `KD_WINDOW_...`."""

    HANN = 0
    HAMMING = 1
    #: Kaldi's: Hann to the power of 0.85
    POVEY = 2
    RECTANGULAR = 3


class Framing(IntEnum):
    """Which samples a frame sees. C: `KD_FRAMES_...`."""

    #: windows inside the sound: 1 + (samples - window_length) / hop
    WINDOWS = 0
    #: FFTs inside the sound: 1 + (samples - fft_size) / hop
    WHOLE = 1
    #: centered on multiples of hop, zeros beyond: 1 + samples / hop
    ZEROS = 2
    #: the same, mirrored beyond, the end itself not repeated
    REFLECT = 3
    #: Kaldi's snip_edges=false: (samples + hop / 2) / hop, mirrored with the end repeated
    MIRROR = 4


class MelScale(IntEnum):
    """Scales of mels. C: `KD_MEL_SCALE_...`."""

    #: straight up to 1000 Hz, then a logarithm [Slaney 1998]
    SLANEY = 0
    #: 2595 log10(1 + f / 700)
    HTK = 1


class MelLog(IntEnum):
    """Logarithms of mel spectrograms. C: `KD_MEL_LOG_...`."""

    NONE = 0
    NATURAL = 1
    BASE10 = 2
    #: (20 / power) log10
    DECIBEL = 3


class MelNormalize(IntEnum):
    """How levels are normalized. C: `KD_MEL_NORMALIZE_...`."""

    NONE = 0
    #: (x - mean) / std, with those of the options
    FIXED = 1
    #: mean 0 and variance 1 of each sound
    SOUND = 2
    #: of each band of each sound
    BANDS = 3


class AugmentKind(IntEnum):
    """Ways to make more prompts. C: `KD_AUGMENT_...`."""

    #: the prompt with other numbers, `copies` times; the host's function supplies the answer
    NUMBERS = 1
    #: the prompt in each template; answer and completion are kept
    TEMPLATES = 2
    #: the completion, after its reasoning, as a prompt; truncated completions are dropped
    ANSWERS = 3


class TextMetric(IntEnum):
    """Measures of texts against references. C: `KD_TEXT_...`."""

    #: corpus BLEU-4, tokenized like sacreBLEU's "13a", 0 to 100 [Papineni et al. 2002]
    BLEU = 1
    #: chrF2: character 1- to 6-grams without white space, beta = 2, over the corpus, 0 to 100
    #: [Popovic 2015]
    CHRF = 2
    #: F1 of the longest common subsequence of lowercase words, mean over texts, 0 to 1 [Lin 2004]
    ROUGE_L = 3
    #: F1 of the bags of words like SQuAD's (no articles, punctuation, case), mean over texts, 0 to
    #: 1 [Rajpurkar et al. 2016]
    F1 = 4
    #: share of texts that are equal, ignoring white space at the ends
    EXACT = 5
    #: texts as labels, ignoring white space at the ends: mean of 2 P R / (P + R) over the
    #: references' labels; a text that is none of these labels is wrong and does not form a class
    MACRO_F1 = 6
