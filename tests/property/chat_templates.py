"""Chats rendered by the library equal those of Hugging Face's transformers: every template of TRL,
and others, with chats of all kinds.

    python tests/property/chat_templates.py [folder ..]        folders with further *.jinja files

Texts are compared with apply_chat_template, errors must be errors on both sides, and where a
template has generation blocks the masks are compared with return_assistant_tokens_mask. For the
others the mask is checked by what it must be: each answer that the text holds, up to its end mark,
and nothing of what others say. TRL's training templates have such blocks: where one renders the
same text as its plain twin, the masks of both are compared too, and what differs is counted. Prints
a table, a line a template."""

import collections
import copy
import glob
import json
import logging
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
import tokenizers
import transformers
import trl
from tokenizers import AddedToken, decoders, models, pre_tokenizers

import kdistill

logging.disable(logging.WARNING)
HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start|>",
    "<|end|>",
    "<|return|>",
    "<|message|>",
    "<|channel|>",
    "<|call|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<end_of_turn>",
    "<start_of_turn>",
    "<|user|>",
    "<|assistant|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|eot|>",
    "<|eom|>",
]

WEATHER = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'Weather of a <place> & "time"',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Where ünïcode"},
                    "days": {"type": "integer", "enum": [1, 2, 3]},
                    "options": {
                        "type": "object",
                        "properties": {"deep": {"type": "array", "items": {"type": "number"}}},
                    },
                },
                "required": ["city"],
            },
        },
    }
]


def user(text):
    return {"role": "user", "content": text}


def system(text):
    return {"role": "system", "content": text}


def said(text, **members):
    return {"role": "assistant", "content": text, **members}


def call(arguments, name="get_weather"):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


RESULT = {
    "role": "tool",
    "content": '{"temperature": 22}',
    "name": "get_weather",
    "tool_call_id": "call_1",
}
# name, turns, options (tools, variables, ask)
CHATS = [
    ("plain", [user("Hi"), said("Hello!")], {}),
    ("asked", [user("Hi")], {"generation_prompt": 1}),
    ("system", [system("Be brief."), user("Hi"), said("Hello!")], {}),
    ("turns", [user("Hi"), said("Hello!"), user("2+2?"), said("4"), user("3+3?"), said("6")], {}),
    (
        "turns asked",
        [system("Be brief."), user("Hi"), said("Hello!"), user("2+2?")],
        {"generation_prompt": 1},
    ),
    (
        "thought in content",
        [
            user("2+2?"),
            said("<think>\ntwo and two\n</think>\n\n4"),
            user("Sure?"),
            said("<think>\nyes\n</think>\n\nYes."),
        ],
        {},
    ),
    (
        "thought as member",
        [
            user("2+2?"),
            said("4", reasoning_content="two and two"),
            user("Sure?"),
            said("Yes.", reasoning_content="yes"),
        ],
        {},
    ),
    ("thought, other name", [user("2+2?"), said("4", reasoning="two and two")], {}),
    (
        "thought asked",
        [user("2+2?"), said("<think>\ntwo\n</think>\n\n4"), user("Sure?")],
        {"generation_prompt": 1},
    ),
    (
        "several thoughts",
        [user("a"), said("<think>\none\n</think>\n\nx\n<think>\ntwo\n</think>\n\ny")],
        {},
    ),
    (
        "empty thought",
        [user("a"), said("<think>\n\n</think>\n\nb"), user("c"), said("<think></think>d")],
        {},
    ),
    ("open thought", [user("a"), said("<think>\nnever closed")], {}),
    ("tools", [user("Weather?")], {"tools": WEATHER, "generation_prompt": 1}),
    (
        "call",
        [
            user("Weather?"),
            said(
                "",
                tool_calls=[
                    call({"city": "Paris", "days": 2, "options": {"deep": [1.5, 2e20], "x": None}})
                ],
            ),
            RESULT,
            said("It is 22 degrees."),
        ],
        {"tools": WEATHER},
    ),
    (
        "call with text",
        [
            user("Weather?"),
            said("I look.", tool_calls=[call({"city": "Köln"})], reasoning_content="which city"),
            RESULT,
            said("22."),
            user("Thanks"),
            said("Welcome."),
        ],
        {"tools": WEATHER},
    ),
    (
        "two calls",
        [
            user("Weather?"),
            said("", tool_calls=[call({"city": "A"}), call({"city": "B"})]),
            RESULT,
            RESULT,
            said("Both."),
        ],
        {"tools": WEATHER},
    ),
    (
        "arguments as text",
        [user("Weather?"), said("", tool_calls=[call('{"city": "Rome"}')]), RESULT, said("Warm.")],
        {"tools": WEATHER},
    ),
    (
        "call without content",
        [
            user("Weather?"),
            {"role": "assistant", "content": None, "tool_calls": [call({"city": "Oslo"})]},
            RESULT,
        ],
        {"tools": WEATHER, "generation_prompt": 1},
    ),
    ("developer", [{"role": "developer", "content": "Be kind."}, user("Hi"), said("Hello!")], {}),
    ("unicode", [user("Grüße, 世界 🌍"), said("Ça va ‘fine’ — Straße ΑΣ")], {}),
    ("space", [system("  s \n"), user("  Hi \n\n"), said("\n Hello! \n")], {}),
    (
        "marks",
        [
            user("a <|im_end|> & <b> {{ x }} {% y %}"),
            said("\"quotes\" \\ and 'more' </think> after"),
        ],
        {},
    ),
    ("thinking on", [user("Hi")], {"generation_prompt": 1, "variables": {"enable_thinking": True}}),
    (
        "thinking off",
        [user("Hi")],
        {"generation_prompt": 1, "variables": {"enable_thinking": False}},
    ),
    (
        "thinking off, answered",
        [user("Hi"), said("Hello!")],
        {"variables": {"enable_thinking": False}},
    ),
    (
        "parts",
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": " here"}],
            },
            said("Seen."),
        ],
        {},
    ),
    (
        "numbers",
        [
            user("n"),
            said(
                "",
                tool_calls=[
                    call(
                        {
                            "a": 12345678901234567890,
                            "b": 0.1,
                            "c": -1e-7,
                            "d": True,
                            "e": [],
                            "f": {},
                        }
                    )
                ],
            ),
        ],
        {"tools": WEATHER},
    ),
    ("two users", [user("a"), user("b"), said("c")], {}),
    ("empty", [user(""), said("")], {}),
]


def own_templates():
    """Kinds that no package ships: from public reports and from the documentation of Jinja."""
    made = {}
    for path in sorted(glob.glob(os.path.join(HERE, "templates", "*.jinja"))):
        made["own/" + os.path.basename(path)[:-6]] = open(path, encoding="utf-8").read()
    return made


def templates(folders):
    found = {}
    for path in sorted(
        glob.glob(os.path.join(os.path.dirname(trl.__file__), "chat_templates", "*.jinja"))
    ):
        found["trl/" + os.path.basename(path)[:-6]] = open(path, encoding="utf-8").read()
    found.update(own_templates())
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
            found[os.path.basename(folder) + "/" + os.path.basename(path)[:-6]] = open(
                path, encoding="utf-8"
            ).read()
    return found


def make_tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = tokenizers.Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer, made.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    made.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in SPECIAL])
    return made


def their(tokenizer, template, turns, options, mask=False):
    turns, kwargs = copy.deepcopy(turns), dict(options.get("variables", {}))
    try:
        got = tokenizer.apply_chat_template(
            turns,
            tools=options.get("tools"),
            chat_template=template,
            add_generation_prompt=bool(options.get("generation_prompt")),
            tokenize=mask,
            return_dict=mask,
            return_assistant_tokens_mask=mask,
            **kwargs,
        )
        return (got["input_ids"], got["assistant_masks"]) if mask else got
    except Exception as error:
        return error


def continued(theirs, ours, template, turns, options):
    """The chat with its last turn, or its thought, left open: how many are equal; and what is
    not."""
    equal, bad = 0, []
    options = {name: value for name, value in options.items() if name != "generation_prompt"}
    for ask, member in (
        (kdistill.ChatPrompt.CONTINUE, True),
        (kdistill.ChatPrompt.CONTINUE_THOUGHT, "reasoning_content"),
    ):
        try:
            expected = theirs.apply_chat_template(
                copy.deepcopy(turns),
                tools=options.get("tools"),
                chat_template=template,
                tokenize=False,
                continue_final_message=member,
                **options.get("variables", {}),
            )
        except Exception as error:
            expected = error
        got = our(ours, turns, {**options, "generation_prompt": ask})
        if isinstance(expected, Exception) != isinstance(got, Exception) or (
            isinstance(got, str) and got != expected
        ):
            bad.append(f"goes on ({member}): {got!r}, expected {expected!r}")
        equal += isinstance(got, str)
    return equal, bad


def our(tokenizer, turns, options, mask=False):
    try:
        return (
            kdistill.chat_encode(tokenizer, turns, **options)
            if mask
            else kdistill.chat_render(tokenizer, turns, **options)
        )
    except kdistill.Error as error:
        return error


def parts_of(tokenizer, ids, mask):
    """The learned texts."""
    found, last = [], 0
    for i, m in zip(ids, mask):
        if m and not last:
            found.append([])
        if m:
            found[-1].append(int(i))
        last = m
    return [tokenizer.decode(p) for p in found]


def whole_characters(tokenizer, ids, mask):
    """transformers stops at the first token of a block's last character: the others belong to it
    too."""
    mask = list(mask)
    for i in range(1, len(ids)):
        continues = (
            tokenizer.token_bytes(ids[i])[0][:1]
            and 0x80 <= tokenizer.token_bytes(ids[i])[0][0] < 0xC0
        )
        if mask[i - 1] and continues:
            mask[i] = 1
    return mask


def check_parts(turns, parts, text):
    """Why the learned parts cannot be right; None: they can."""
    joined, answers = (
        "\x00".join(parts),
        json.dumps([turn for turn in turns if turn["role"] == "assistant"], ensure_ascii=False),
    )
    for turn in turns:
        content = turn.get("content")
        if not isinstance(content, str):
            continue
        words = content.split("</think>")[-1].strip()
        words = words.removeprefix("<think>").strip()  # may be a part of the question
        if turn["role"] == "assistant" and words and words in text and words not in joined:
            return f"{words!r} is not learned"
        if (
            turn["role"] != "assistant"
            and len(words) > 1
            and words in joined
            and words not in answers
        ):
            return f"{words!r} is learned"
    return None


def main(folders):
    context, rows, bad, counts, masks = (
        kdistill.Context(threads=1),
        [],
        [],
        collections.Counter(),
        {},
    )
    with tempfile.TemporaryDirectory() as folder:
        file = folder + "/tokenizer.json"
        make_tokenizer().save(file)
        json.dump(
            {"bos_token": "<s>", "eos_token": {"content": "</s>"}},
            open(folder + "/tokenizer_config.json", "w"),
        )
        theirs = transformers.PreTrainedTokenizerFast(
            tokenizer_file=file, bos_token="<s>", eos_token="</s>"
        )
        for name, template in templates(folders).items():
            with open(folder + "/chat_template.jinja", "w", encoding="utf-8") as out:
                out.write(template)
            ours, row = kdistill.Tokenizer(context, folder), collections.Counter()
            for chat, turns, options in CHATS:
                options = {"now": 0, **options}
                equal, differ = continued(theirs, ours, template, turns, options)
                row["go on"] += equal
                row["wrong"] += len(differ)
                bad += [f"{name}, {chat}, {line}" for line in differ]
                expected, got = their(theirs, template, turns, options), our(ours, turns, options)
                failed = isinstance(expected, Exception), isinstance(got, Exception)
                if failed[0] != failed[1] or (not failed[0] and expected != got):
                    bad.append(f"{name}, {chat}: {got!r}, expected {expected!r}")
                    row["wrong"] += 1
                    continue
                row["refused" if failed[0] else "texts"] += 1
                if failed[0] or options.get("generation_prompt"):
                    continue
                mine = our(ours, turns, options, True)
                if isinstance(mine, Exception):
                    row["no mask"] += 1
                    if os.environ.get("KD_TELL"):
                        print(f"{name}, {chat}: {mine}")
                    continue
                ids, mask = [int(i) for i in mine[0]], [int(m) for m in mine[1]]
                if "endgeneration" in template:
                    ids_expected, mask_expected = their(theirs, template, turns, options, True)
                    mask_expected = whole_characters(ours, ids_expected, mask_expected)
                    if ids != list(ids_expected) or mask != list(mask_expected):
                        bad.append(
                            f"{name}, {chat}: learned {parts_of(ours, ids, mask)}, "
                            f"expected {parts_of(ours, ids, mask_expected)}"
                        )
                        row["wrong"] += 1
                    row["masks"] += 1
                else:
                    why = check_parts(turns, parts_of(ours, ids, mask), got)
                    if why:
                        bad.append(f"{name}, {chat}: {why}: {parts_of(ours, ids, mask)}")
                        row["wrong"] += 1
                    row["found"] += 1
                masks[name, chat] = got, parts_of(ours, ids, mask)
            rows.append((name, row))
            counts.update(row)
    twins = collections.Counter()
    for (name, chat), (text, parts) in masks.items():
        twin = masks.get((name + "_training", chat))
        if twin and twin[0] == text:
            # a twin may take the turn's header, or a line end after it, for the assistant's
            same = len(twin[1]) == len(parts) and all(
                t.strip().endswith(p.strip()) for t, p in zip(twin[1], parts)
            )
            twins["same" if same else "differs"] += 1
            if not same and os.environ.get("KD_TELL"):
                print(f"{name}, {chat}: {parts} beside {twin[1]}")
    print(
        f"{'template':44} {'texts':>6} {'refused':>8} {'masks':>6} {'found':>6} "
        f"{'no mask':>8} {'go on':>6} {'wrong':>6}"
    )
    for name, row in rows:
        print(
            f"{name:44} {row['texts']:6} {row['refused']:8} {row['masks']:6} "
            f"{row['found']:6} {row['no mask']:8} {row['go on']:6} {row['wrong']:6}"
        )
    print(
        f"{len(rows)} templates with {len(CHATS)} chats: {dict(counts)}; masks beside the "
        f"training twin's: {dict(twins)}"
    )
    if bad:
        sys.exit(
            "\n".join(line[:1500] for line in bad[: int(os.environ.get("KD_MOST", 10))])
            + f"\n{len(bad)} differ"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
