/* Four formats as templates of the library's own, and which of them a folder's template does the
 * same as. */
#include <string.h>

#include "language/tokenizer/chat.h"

/* What a format has no place for is refused, not dropped. */
#define REFUSE_TOOLS                                                                               \
    "{%- if tools %}{{ raise_exception('this format has no place for tools') }}{% endif %}"        \
    "{%- for m in messages if m.tool_calls %}"                                                     \
    "{{ raise_exception('this format has no place for calls of tools') }}{% endfor %}"
#define REFUSE_ROLES                                                                               \
    "{%- for m in messages if m.role not in ['system', 'user', 'assistant'] %}"                    \
    "{{ raise_exception('expected the role system, user or assistant, got ' ~ m.role) }}{% "       \
    "endfor %}"
/* A thought that is a member of its own is written before the content. */
#define THOUGHT                                                                                    \
    "{%- macro said(m) %}{% if m.reasoning_content %}{{ '<think>\\n' ~ m.reasoning_content | "     \
    "trim ~ '\\n</think>\\n\\n' }}"                                                                \
    "{% endif %}{{ m.content }}{% endmacro %}"
/* DeepSeek's marks are written with U+FF5C and U+2581. */
#define BAR "\xef\xbd\x9c"
#define LINE "\xe2\x96\x81"

static const char chatml[] = REFUSE_TOOLS THOUGHT
    "{%- for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' }}"
    "{%- if m.role == 'assistant' %}{% generation %}{{ said(m) ~ '<|im_end|>' }}{% endgeneration %}"
    "{%- else %}{{ m.content ~ '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static const char llama3[] = REFUSE_TOOLS THOUGHT
    "{{ '<|begin_of_text|>' }}"
    "{%- for m in messages %}{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\\n\\n' }}"
    "{%- if m.role == 'assistant' %}{% generation %}{{ said(m) | trim ~ '<|eot_id|>' }}{% "
    "endgeneration %}{%- else %}{{ m.content | trim ~ '<|eot_id|>' }}{% endif %}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% "
    "endif %}";

static const char llama2[] = REFUSE_TOOLS REFUSE_ROLES THOUGHT
    "{%- set system = messages[0].content if messages and messages[0].role == 'system' else none %}"
    "{%- set turns = messages if system is none else messages[1:] %}{%- for m in turns %}"
    "{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('chats alternate user and assistant after one system message, got ' ~ "
    "m.role) }}{% endif %}"
    "{%- if m.role == 'assistant' %}{% generation %}{{ ' ' ~ said(m) | trim ~ ' </s>' }}{% "
    "endgeneration %}{%- elif loop.first and system is not none %}"
    "{{ '<s>[INST] <<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' ~ m.content ~ ' [/INST]' }}"
    "{%- else %}{{ '<s>[INST] ' ~ m.content | trim ~ ' [/INST]' }}{% endif %}{% endfor %}";

static const char deepseek[] = REFUSE_TOOLS REFUSE_ROLES THOUGHT
    "{{ '<" BAR "begin" LINE "of" LINE "sentence" BAR ">' }}"
    "{%- for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}"
    "{%- for m in messages if m.role != 'system' %}"
    "{%- if m.role == 'user' %}{{ '<" BAR "User" BAR ">' ~ m.content }}"
    "{%- else %}{{ '<" BAR "Assistant" BAR ">' }}{% generation %}"
    "{%- set text = said(m) if keep_reasoning else m.content %}"
    "{{- (text if keep_reasoning else text.split('</think>')[-1]) ~ '<" BAR "end" LINE "of" LINE
    "sentence" BAR ">' }}{%- endgeneration %}{% endif %}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '<" BAR "Assistant" BAR "><think>\\n' }}{% endif %}";

const char *kd__chat_format_text(int32_t format)
{
    static const char *const texts[KD__CHAT_FORMATS] = { chatml, llama3, llama2, deepseek };
    return texts[format - KD_CHAT_CHATML];
}

/* ---- recognition ---- */

static const kd_message probe_plain[] = { KD_MESSAGE("user", "Hi there") };
static const kd_message probe_answered[] = { KD_MESSAGE("user", "Hi"),
                                             KD_MESSAGE("assistant", "Yes.") };
static const kd_message probe_long[] = {
    KD_MESSAGE("system", "Be brief."), KD_MESSAGE("user", " one\n"),
    KD_MESSAGE("assistant", " two "), KD_MESSAGE("user", "three"), KD_MESSAGE("assistant", "four")
};
static const kd_message probe_asked[] = { KD_MESSAGE("user", "one"),
                                          KD_MESSAGE("assistant", "<think>\na\n</think>\n\nb"),
                                          KD_MESSAGE("user", "three") };
static const struct {
    const kd_message *messages;
    int32_t count, ask;
} probes[] = { { probe_plain, 1, 0 },
               { probe_plain, 1, 1 },
               { probe_answered, 2, 0 },
               { probe_long, 5, 0 },
               { probe_asked, 3, 1 } };

/* A template that does not render the probe is none of the formats. */
static kd_status same_text(kd_tokenizer *t, int32_t format, size_t i, int32_t *same)
{
    kd_chat_options own = KD_CHAT_OPTIONS_INIT, named = KD_CHAT_OPTIONS_INIT;
    char *a = NULL, *b = NULL;
    own.generation_prompt = named.generation_prompt = probes[i].ask;
    named.format = format;
    kd_status status = kd_chat_render(t, probes[i].messages, probes[i].count, &own, &a);
    if (status == KD_OK)
        status = kd_chat_render(t, probes[i].messages, probes[i].count, &named, &b);
    *same = status == KD_OK && !strcmp(a, b);
    kd_context_free_text(t->object.context, a);
    kd_context_free_text(t->object.context, b);
    return status == KD_ERR_MEMORY ? status : KD_OK;
}

kd_status kd__chat_recognize(kd_tokenizer *t)
{
    if (!t->chats->own.parsed) return KD_OK;
    for (int32_t format = KD_CHAT_CHATML; format <= KD_CHAT_DEEPSEEK; format++) {
        int32_t same = 1;
        for (size_t i = 0; i < sizeof probes / sizeof *probes && same; i++)
            KD_TRY(same_text(t, format, i, &same));
        if (same) return t->chats->format = format, KD_OK;
    }
    return KD_OK;
}
