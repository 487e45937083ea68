/* The subcommands of `kdistill`. A new one is a file with a function like these, and a line in the
 * table of kdistill.c. words[0] is its name; it returns an exit code of say.h. */
#ifndef KD_TOOL_COMMAND_H
#define KD_TOOL_COMMAND_H

int command_store(int count, char **words);
int command_train(int count, char **words);
int command_generate(int count, char **words);
int command_judge(int count, char **words);
int command_report(int count, char **words);

#endif
