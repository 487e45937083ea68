/* What reads one line of JSON: members, turns, what stands beside the turns, lists of numbers. */
#ifndef KD_RECORD_SHAPE_H
#define KD_RECORD_SHAPE_H

#include "course/record/record.h"

#define BAD(...) return kd__fail(KD_ERR_FORMAT, __VA_ARGS__)

/* ---- members (members.c) ---- */

/* The first of several names that is there, NULL at the end of them; null is not there. */
const kd__json *kd__find(const kd__json *object, const char *const *names);
const kd__json *kd__find_one(const kd__json *object, const char *name);
/* The same in the line's object, and what is found does not go to "extra". `own`: the host's name
 * for it, in place of the usual ones. */
const kd__json *kd__use(kd__shape *s, const char *own, const char *const *names);
const kd__json *kd__use_one(kd__shape *s, const char *name);
void kd__used(kd__shape *s, const kd__json *member);
/* 1: null, "", [], {}, which say nothing. */
/* Texts end with a 0 here: one that holds a 0 would be cut. */
int kd__holds_zero(const kd__json *node);
int kd__says_nothing(const kd__json *node);

/* A string; a number or bool as it is written; a list of parts of text, one after the other. */
kd_status kd__text_of(kd__shape *s, const kd__json *node, const char *what, const char **out);
/* The text of one part of a list; what is no text is refused by its type. */
kd_status kd__part_text(const kd__json *part, const char *what, const char **out);
/* The same as kd__text_of, where only a text or parts of text are right. */
kd_status kd__words_only(kd__shape *s, const kd__json *node, const char *what, const char **out);
/* The same for a known answer: a list of parts would be no answer; a list of one is that one. */
kd_status kd__fact_of(kd__shape *s, const kd__json *node, const char *what, const char **out);
/* A value as JSON; an object or list that a string holds as JSON, as files of LLaMA-Factory do, is
 * parsed and checked. type: KD__JSON_ARRAY or KD__JSON_OBJECT. */
kd_status kd__json_of(kd__shape *s, const kd__json *node, int32_t type, const char *what,
                      const char **out);
/* The arena's copy of a text that was made, which is freed. */
kd_status kd__keep(kd__shape *s, kd__text *made, kd_status status, const char **out);
/* Appends `, "key": ` to an object that is written. */
kd_status kd__begin_member(kd__text *made, const char *key);

/* Counts a member, tells its name once in the log. */
kd_status kd__count_member(kd__shape *s, int64_t *count, const char *where, const char *name);

/* ---- turns (turns.c) ---- */

/* A turn; `role`: where it may have none, else NULL. number: of the turn, for messages. */
kd_status kd__read_turn(kd__shape *s, const kd__json *turn, const char *role, int32_t number,
                        kd_message *message);
/* The turns of a list behind the record's; `skip`: the assistant's are not learned. */
kd_status kd__read_turns(kd__shape *s, kd_record *r, const kd__json *turns, int skip);
/* One more turn: every record of a line has its own list. */
kd_status kd__add_turn(kd__shape *s, kd_record *r, kd_message turn);
/* A turn before all others of what the line's records share. */
kd_status kd__put_first(kd__shape *s, kd_message turn);
/* An answer of text; `beside` (NULL: none) is the object that may hold its thought. */
kd_status kd__add_answer(kd__shape *s, kd_record *r, const char *text, const kd__json *beside);
/* An answer's reasoning, given beside it, goes between <think> tags before the text, or into the
 * members of its turn. */
kd_status kd__put_reasoning(kd__shape *s, const char *name, const char *thought,
                            kd_message *message);
/* The thought of a turn or record under any of its names; *name NULL: none. */
kd_status kd__read_thought(kd__shape *s, const kd__json *object, const char **name,
                           const char **thought);
int kd__is_turn(const kd__json *node);
/* 1: a list of turns. */
int kd__is_turns(const kd__json *node);

/* 1: a server's answers (shapes.c). */
int kd__is_server(const kd__json *object);

/* ---- beside the turns (beside.c) ---- */

/* Refuses what would change what is learned and is not supported here. */
kd_status kd__check_members(kd__shape *s);
/* A member that the rules know, refused, kept or left out as the options say. */
kd_status kd__unsupported(kd__shape *s, const kd__json *member, const char *about);
/* Tools and variables of the template. */
kd_status kd__read_template(kd__shape *s, const kd__json *object);
/* A system message beside the turns, to their beginning. */
kd_status kd__read_system(kd__shape *s, const kd__json *object);
/* Questions and answers before the prompt. */
kd_status kd__read_history(kd__shape *s);
/* Reasoning beside the turns: the last answer's. */
kd_status kd__read_reasoning(kd__shape *s);
/* All members that nothing read. */
kd_status kd__keep_extra(kd__shape *s);

/* ---- lists of numbers (lists.c) ---- */

kd_status kd__read_ids(kd__shape *s);
kd_status kd__read_logprobs(kd__shape *s, const kd__json *node, const kd__json *ends, kd_record *r);

#endif
