/* Templates beside jinja2: each text is what jinja2 3.1 gives in the environment of
 * transformers. */
#include "chatkit.h"

#define VARIABLES                                                                                  \
    "{\"s\": \"Hello, World\", \"n\": 5, \"f\": 2.5, \"xs\": [3, 1, 2], \"yes\": true, "           \
    "\"no\": false, \"d\": {\"b\": 1, \"a\": [1, 2]}, \"rows\": [{\"k\": \"x\", \"v\": 2}, "       \
    "{\"k\": \"y\", \"v\": 1}], \"big\": 123456789012345678901234567890}"

static void renders(kd_context *ctx, const char *jinja, const char *expected)
{
    kd_chat_options o = options(KD_CHAT_AUTO, 0, -1);
    kd_tokenizer *t = load(ctx, jinja, NULL);
    char *text = NULL;
    o.variables = VARIABLES;
    const kd_status status = kd_chat_render(t, NULL, 0, &o, &text);
    ck_assert_msg(status == KD_OK, "%s: %s", jinja, kd_last_error());
    ck_assert_msg(!strcmp(text, expected), "%s gives %s, expected %s", jinja, text, expected);
    kd_context_free_text(ctx, text);
    kd_tokenizer_free(t);
}

static void refuses(kd_context *ctx, const char *jinja, kd_status expected, const char *why)
{
    kd_chat_options o = options(KD_CHAT_AUTO, 0, -1);
    kd_tokenizer *t = load(ctx, jinja, NULL);
    char *text = NULL;
    o.variables = VARIABLES;
    const kd_status status = kd_chat_render(t, NULL, 0, &o, &text);
    ck_assert_msg(status == expected, "%s: %s, %s", jinja, kd_status_name(status), kd_last_error());
    ck_assert_msg(strstr(kd_last_error(), why) != NULL, "%s: %s", jinja, kd_last_error());
    kd_tokenizer_free(t);
}

/* Templates of DeepSeek-V3.2 use a filter of one server where arguments are a text. */
START_TEST(an_unknown_filter_is_an_error_where_it_is_reached)
{
    static const char *const spared[][2] = {
        { "{% if no %}{{ 1 | nope }}{% endif %}x", "x" },
        { "{{ 1 | nope if no else 2 }}", "2" },
        { "{{ 2 if yes or 1 is nope else 1 | nope }}", "2" },
        { "{{ [1 | nope, 2] if no else 3 }}{{ 4 | nope if no }}", "3" },
        { "{% if no %}{% for x in xs | nope %}{% endfor %}{% endif %}y", "y" },
        { "{% if no %}{% for x in xs %}{% if x %}{{ x | nope }}{% endif %}{% endfor %}{% endif %}y",
          "y" },
        { "{% if no %}{% for x in xs %}{% endfor %}{{ 1 | nope }}{% endif %}y", "y" },
        { "{% if no %}{% macro m(a=1 | nope if no) %}{% endmacro %}{% endif %}y", "y" },
        { "{% if no %}{% set x %}a{% endset %}{{ 1 is nope }}{% endif %}y", "y" },
        { "{% if no %}{% with a = 1 | nope %}a{% endwith %}{% endif %}y", "y" },
        { "{% macro m() %}{% endmacro %}{% if no %}{% call m(1 | nope) %}a{% endcall %}{% endif "
          "%}y",
          "y" },
    };
    static const char *const reached[] = {
        "{% if yes %}{{ 1 | nope }}{% endif %}",
        "{% if 1 is nope %}{% endif %}",
        "{{ 1 | nope if yes else 2 }}",
        "{{ no and 1 | nope }}",
        "{{ (2 if no else 3) | nope }}",
        "{{ [1 | nope, 2 if no else 3] }}",
        "{% if no %}{% for x in xs %}{{ x | nope }}{% endfor %}{% endif %}",
        "{% if no %}{% for x in xs if x is nope %}{% endfor %}{% endif %}",
        "{% if no %}{% macro m(a=1 | nope) %}{% endmacro %}{% endif %}",
        "{% if no %}{% set x | nope %}a{% endset %}{% endif %}",
        "{% if no %}{% set x %}{{ 1 | nope }}{% endset %}{% endif %}",
        "{% if no %}{% filter nope %}a{% endfilter %}{% endif %}",
        "{% if no %}{% with a = 1 %}{{ 1 | nope }}{% endwith %}{% endif %}",
        "{% if no %}{% generation %}{{ 1 | nope }}{% endgeneration %}{% endif %}",
        "{% macro m() %}{% endmacro %}{% if no %}{% call(a=1 | nope) m() %}{% endcall %}{% endif "
        "%}",
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof spared / sizeof *spared; i++)
        renders(ctx, spared[i][0], spared[i][1]);
    for (size_t i = 0; i < sizeof reached / sizeof *reached; i++)
        refuses(ctx, reached[i], KD_ERR_UNSUPPORTED, "'nope' is not supported");
    refuses(ctx, "a\n{% if no %}{{ 1 | nope }}{% endif %}\n{{ 1 is nopes }}", KD_ERR_UNSUPPORTED,
            "line 3: the test 'nopes'");
    kd_context_free(ctx);
}
END_TEST

START_TEST(functions_that_are_not_supported_are_names_like_others)
{
    kd_context *ctx = make_context(1);
    renders(ctx, "{% macro joiner(a) %}j{{ a }}{% endmacro %}{{ joiner(1) }}", "j1");
    renders(ctx, "{{ joiner is defined }}{% if no %}{{ cycler(1) }}{% endif %}", "True");
    refuses(ctx, "\n{{ joiner(', ') }}", KD_ERR_UNSUPPORTED, "line 2: the functions lipsum");
    kd_context_free(ctx);
}
END_TEST

START_TEST(subscripts_may_have_several_parts_or_none)
{
    kd_context *ctx = make_context(1);
    renders(ctx, "{{ d[] is defined }}{{ xs[1, 2] is defined }}{{ s[] | default('q') }}",
            "FalseFalseq");
    renders(ctx, "{{ {(1, 2): 'a'}[1, 2] }}{{ {(): 'b'}[] }}{{ {(1, 2, 3): 'c'}[1, 2, 3] }}",
            "abc");
    refuses(ctx, "{{ xs[1,] }}", KD_ERR_FORMAT, "expected an expression");
    refuses(ctx, "{{ xs[,1] }}", KD_ERR_FORMAT, "expected an expression");
    refuses(ctx, "{{ xs[1:2, 3] }}", KD_ERR_UNSUPPORTED, "a slice among several parts");
    renders(ctx, "{{ nope is sameas(nope) }}{{ none is sameas none }}{{ s is sameas s }}",
            "FalseTrueTrue");
    kd_context_free(ctx);
}
END_TEST

Suite *templates_suite(void)
{
    Suite *suite = suite_create("templates");
    TCase *tests = tcase_create("templates");
    tcase_add_test(tests, an_unknown_filter_is_an_error_where_it_is_reached);
    tcase_add_test(tests, functions_that_are_not_supported_are_names_like_others);
    tcase_add_test(tests, subscripts_may_have_several_parts_or_none);
    suite_add_tcase(suite, tests);
    return suite;
}
