/* Hash tables of numbers: linear probing, at most two thirds full. */
#include "base/table.h"

#include "base/memory.h"

static void put(kd__table *table, kd__slot slot)
{
    uint64_t i = slot.hash;
    while (table->slots[i & (uint64_t)(table->size - 1)].number) i++;
    table->slots[i & (uint64_t)(table->size - 1)] = slot;
}

static kd_status grow(kd__table *table)
{
    kd__table larger = { .context = table->context, .size = table->size ? 2 * table->size : 64 };
    KD_TRY(KD_NEW(table->context, &larger.slots, larger.size));
    larger.count = table->count;
    for (int64_t i = 0; i < table->size; i++)
        if (table->slots[i].number) put(&larger, table->slots[i]);
    kd__table_free(table);
    *table = larger;
    return KD_OK;
}

kd_status kd__table_add(kd__table *table, uint64_t hash, int64_t number)
{
    KD_FAIL_IF(number < 0 || number >= UINT32_MAX, KD_ERR_RANGE,
               "a table: expected a number below 2^32 - 1, got %lld", (long long)number);
    if (3 * (table->count + 1) > 2 * table->size) KD_TRY(grow(table));
    put(table, (kd__slot){ kd__table_fold(hash), (uint32_t)number + 1 });
    table->count++;
    return KD_OK;
}

void kd__table_free(kd__table *table)
{
    if (table->context) kd__release(table->context, table->slots);
    *table = (kd__table){ .context = table->context };
}
