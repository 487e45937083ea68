/* Templates beside what jinja2 makes of them, kept in tests/goldens/templates_goldens.h. */
#include "templates.h"

#include <string.h>

#include "goldens/templates_goldens.h"
#include "formats/json.h"
#include "language/template/template.h"

/* NULL: the template was refused, when it was read or when it was rendered. */
static const char *rendered(kd_context *ctx, const char *jinja, kd__room *room)
{
    kd__template *t = NULL;
    kd__json_document json = { 0 };
    kd__value variables;
    kd__template_output output = { 0 };
    const kd__template_options options = { .now = 86400 };
    kd_status status;
    ck_assert_int_eq(
        kd__json_parse(&json, ctx, golden_variables, sizeof golden_variables - 1, "test"), KD_OK);
    ck_assert_int_eq(kd__value_from_json(room, json.root, &variables), KD_OK);
    status = kd__template_parse(&t, ctx, jinja, (int64_t)strlen(jinja), "test");
    if (status == KD_OK) status = kd__template_render(t, room, &variables, &options, &output);
    kd__template_free(t);
    kd__json_free(&json);
    return status == KD_OK ? output.text : NULL;
}

START_TEST(a_template_gives_what_jinja2_gives)
{
    kd_context *ctx = NULL;
    ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK);
    for (size_t i = 0; i < sizeof golden_templates / sizeof *golden_templates; i++) {
        const char *jinja = golden_templates[i].jinja, *expected = golden_templates[i].text;
        kd__room room = { .context = ctx };
        const char *text = rendered(ctx, jinja, &room);
        ck_assert_msg(!text == !expected, "%s gives %s, expected %s; %s", jinja,
                      text ? text : "an error", expected ? expected : "an error", kd_last_error());
        ck_assert_msg(!text || !strcmp(text, expected), "%s gives %s, expected %s", jinja, text,
                      expected);
        kd__room_free(&room);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *templates_suite(void)
{
    Suite *suite = suite_create("templates");
    TCase *tests = tcase_create("templates");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_template_gives_what_jinja2_gives);
    suite_add_tcase(suite, tests);
    return suite;
}
