/* Mutations of a model's folder: one of its files is changed as what it is, JSON or tensors. */
#ifndef FOLDER_MUTATE_H
#define FOLDER_MUTATE_H

#include "json_mutate.h"
#include "model_folder.h"

/* One part is changed as what it is; the new size, or 0. */
static size_t folder_mutate(json_change *c, uint8_t *data, size_t size, size_t room, unsigned seed)
{
    folder_part part, chosen = { 0 };
    size_t count = 0, made;
    c->state = seed;
    for (size_t at = 0; next_part(data, size, at, &part); at = part.at + part.size)
        if (!json_any(c, ++count)) chosen = part;
    if (!count) return 0;
    if (strstr(folder_files[chosen.file], ".json")) {
        json_mutate(c, (const char *)data + chosen.at, chosen.size, seed);
        made = json_replace(c, data, size, chosen.at, chosen.size, room);
    } else {
        const size_t rest = size - chosen.at - chosen.size;
        uint8_t *copy = malloc(chosen.size + JSON_ROOM);
        memcpy(copy, data + chosen.at, chosen.size);
        c->made = tensors_mutate(c, copy, chosen.size, chosen.size + JSON_ROOM, seed);
        made = c->made && chosen.at + c->made + rest <= room ? chosen.at + c->made + rest : 0;
        if (made) memmove(data + chosen.at + c->made, data + chosen.at + chosen.size, rest);
        if (made) memcpy(data + chosen.at, copy, c->made);
        free(copy);
    }
    if (!made || c->made > 0xffff) return 0;
    data[chosen.at - 2] = (uint8_t)c->made;
    data[chosen.at - 1] = (uint8_t)(c->made >> 8);
    return made;
}

#endif
