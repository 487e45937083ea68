/* Recipes to begin with: whole ones, whose comments say what else there is. */
#include <string.h>

#include "tool/recipe_file.h"

const char recipe_start_kinds[] = "language-model, from-store or classifier";

#define LANGUAGE_REST                                                                              \
    "  \"data\": {\n"                                                                              \
    "    \"text\": [\"text.txt\"],     // or \"records\": [\"answers.jsonl\"]: prompts and "       \
    "answers\n"                                                                                    \
    "    \"length\": 256             // tokens of a piece; \"split\": \"line\" takes each line\n"  \
    "  },\n"                                                                                       \
    "  \"validation\": {\n"                                                                        \
    "    \"share\": 0.05,            // of the data; or \"data\": {..}, other files\n"             \
    "    \"metric\": \"cross_entropy\", // or loss, agreement\n"                                   \
    "    \"patience\": 0,            // reports without improvement that end the run; 0: never\n"  \
    "    \"keep\": \"best\"            // or last\n"                                               \
    "  },\n\n"

#define LANGUAGE_END                                                                               \
    "  \"learning_rate\": {\"kind\": \"cosine\", \"from\": 1e-3, \"to\": 1e-4, \"warmup\": "       \
    "0.05},\n"                                                                                     \
    "  \"optimizer\": {\"kind\": \"adamw\", \"weight_decay\": 0.1, \"beta2\": 0.95, "              \
    "\"clip_norm\": 1},\n"                                                                         \
    "  \"epochs\": 2,                // or \"steps\": 1000\n"                                      \
    "  \"batch\": {\"tokens\": 2048, \"accumulate\": 1},\n"                                        \
    "  \"checkpoint\": {\"every\": 50}, // steps; a run that is killed continues from there\n"     \
    "  \"log\": {\"every\": 10},\n"                                                                \
    "  \"save\": {\"dtype\": \"float32\"}, // or bfloat16, float16\n"                              \
    "  \"seed\": 1,\n"                                                                             \
    "  \"threads\": 0                // 0: one for each processor; the result is the same\n"       \
    "}\n"

static const char language_model[] =
    "// A language model into one of fewer layers: kdistill train recipe.json\n"
    "// Names of files are relative to this file's folder. docs/command.md lists all keys.\n"
    "{\n"
    "  \"out\": \"run\",               // the folder of the run: student, report, log, state\n"
    "  \"teacher\": {\n"
    "    \"model\": \"teacher-folder\", // of Hugging Face, or a GGUF file\n"
    "    \"weights\": \"int8\"         // or float32: exact, slower\n"
    "  },\n"
    "  \"student\": {\"layers\": 6},   // the teacher's, spread evenly; or \"model\": \"folder\",\n"
    "                              // \"preset\": \"llama-5m\", \"config\": {..}\n" LANGUAGE_REST
    "  \"loss\": [                   // a temperature may be a number, or fall as this one\n"
    "    {\"kind\": \"forward_kl\", \"weight\": 0.9,\n"
    "     \"temperature\": {\"kind\": \"linear\", \"from\": 2, \"to\": 1}},\n"
    "    {\"kind\": \"cross_entropy\", \"weight\": 0.1}\n"
    "  ],\n" LANGUAGE_END;

static const char from_store[] =
    "// A language model from a teacher's answers that were stored once. To store them:\n"
    "//   kdistill store collect recipe.json teacher.kdt --teacher-model teacher-folder --k 64\n"
    "// (or kdistill store import, of what servers answered), then: kdistill train recipe.json\n"
    "// Names of files are relative to this file's folder. docs/command.md lists all keys.\n"
    "{\n"
    "  \"out\": \"run\",               // the folder of the run: student, report, log, state\n"
    "  \"teacher\": {\n"
    "    \"store\": \"teacher.kdt\",   // or a list of shards\n"
    "    \"missing\": \"absent\"       // texts without an answer: their labels teach alone; or "
    "error\n"
    "  },\n"
    "  \"student\": {\"from\": \"teacher-folder\", \"layers\": 6}, // or \"model\": \"folder\",\n"
    "                              // \"preset\": \"llama-5m\", \"config\": {..} with "
    "\"tokenizer\"\n" LANGUAGE_REST
    "  \"loss\": [                   // a temperature may be a number, or fall as this one\n"
    "    {\"kind\": \"forward_kl\", \"weight\": 0.9,\n"
    "     \"temperature\": {\"kind\": \"linear\", \"from\": 2, \"to\": 1}},\n"
    "    {\"kind\": \"cross_entropy\", \"weight\": 0.1}\n"
    "  ],\n" LANGUAGE_END;

static const char classifier[] =
    "// A classifier of vectors or images: kdistill train recipe.json\n"
    "// Names of files are relative to this file's folder. docs/command.md lists all keys.\n"
    "{\n"
    "  \"out\": \"run\",               // the folder of the run: student, report, log, state\n"
    "  \"teacher\": {\"arrays\": {\"logits\": \"logits.npy\"}}, // a row for each sample; or\n"
    "                              // {\"model\": \"folder\", \"once\": true}, or {\"store\": "
    "\"teacher.kdt\"}\n"
    "  \"student\": {\"config\": {\"model_type\": \"mlp\", \"input_size\": 784, \"hidden_sizes\": "
    "[64],\n"
    "                         \"num_labels\": 10}},\n"
    "  \"data\": {                   // npy or IDX files; or \"idx\": \"folder\" as MNIST, "
    "\"csv\": \"file\"\n"
    "    \"arrays\": {\n"
    "      \"inputs\": {\"file\": \"inputs.npy\", \"scale\": 1, \"shift\": 0},\n"
    "      \"label\": \"labels.npy\"   // integers; leave it out where there are none\n"
    "    }\n"
    "  },\n"
    "  \"validation\": {\n"
    "    \"share\": 0.1,             // of the data; or \"data\": {..}, other files\n"
    "    \"metric\": \"accuracy\",     // or loss, cross_entropy, agreement\n"
    "    \"patience\": 0,            // reports without improvement that end the run; 0: never\n"
    "    \"keep\": \"best\"            // or last\n"
    "  },\n\n"
    "  \"loss\": [                   // a temperature may be a number, or fall as this one\n"
    "    {\"kind\": \"forward_kl\", \"weight\": 0.9,\n"
    "     \"temperature\": {\"kind\": \"linear\", \"from\": 4, \"to\": 1}},\n"
    "    {\"kind\": \"cross_entropy\", \"weight\": 0.1}\n"
    "  ],\n"
    "  \"learning_rate\": {\"kind\": \"cosine\", \"from\": 2e-3, \"to\": 1e-4, \"warmup\": 0.02},\n"
    "  \"optimizer\": {\"kind\": \"adamw\", \"weight_decay\": 0.01},\n"
    "  \"epochs\": 10,               // or \"steps\": 1000\n"
    "  \"batch\": {\"samples\": 128},\n"
    "  \"checkpoint\": {\"every\": 200}, // steps; a run that is killed continues from there\n"
    "  \"log\": {\"every\": 20},\n"
    "  \"seed\": 1,\n"
    "  \"threads\": 0                // 0: one for each processor; the result is the same\n"
    "}\n";

int recipe_start(const char *kind, FILE *to)
{
    const char *text = !strcmp(kind, "language-model") ? language_model
                       : !strcmp(kind, "from-store")   ? from_store
                       : !strcmp(kind, "classifier")   ? classifier
                                                       : NULL;
    if (text) fputs(text, to);
    return text != NULL;
}
