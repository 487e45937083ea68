/* Fields that travel with a packer's texts: numbers of each text, kept in cells of 8 bytes. Legend:
 * F fields, W cells of a text. */
#ifndef KD_PACKER_SAMPLE_FIELDS_H
#define KD_PACKER_SAMPLE_FIELDS_H

#include <kdistill/data.h>
#include <kdistill/record.h>

enum { KD__MOST_SAMPLE_FIELDS = 32 };

typedef struct kd__sample_field {
    char name[KD_NAME_BYTES];
    int32_t dtype;     /* KD_INT64 or KD_FLOAT32 */
    int64_t width, at; /* numbers; the first one's cell */
} kd__sample_field;

typedef struct kd__sample_fields {
    kd__sample_field items[KD__MOST_SAMPLE_FIELDS];
    int32_t count;
    int64_t width; /* W */
} kd__sample_fields;

typedef union kd__cell {
    int64_t whole;
    double number;
} kd__cell;

/* Of texts one after another: cells (texts, W), has (texts, F). */
typedef struct kd__sample_rows {
    kd__cell *cells;
    uint8_t *has;
    int64_t cells_room, has_room;
} kd__sample_rows;

kd_status kd__sample_fields_add(kd__sample_fields *fields, const char *name, int32_t dtype,
                                int64_t width);
/* Room for text number `text`, which has none of the fields yet. */
kd_status kd__sample_rows_open(kd_context *context, const kd__sample_fields *fields,
                               kd__sample_rows *rows, int64_t text);
/* What a record says of them. */
kd_status kd__sample_rows_read(kd_context *context, const kd__sample_fields *fields,
                               kd__sample_rows *rows, int64_t text, const kd_record *record);
kd_status kd__sample_rows_set(const kd__sample_fields *fields, kd__sample_rows *rows, int64_t text,
                              const char *name, const kd_array *values);
/* Text number `to_text` of `to` gets what number `text` of `from` has. */
kd_status kd__sample_rows_copy(kd_context *context, const kd__sample_fields *fields,
                               kd__sample_rows *to, int64_t to_text, const kd__sample_rows *from,
                               int64_t text);
/* Into a batch of `texts` samples. */
kd_status kd__sample_rows_fill(const kd__sample_fields *fields, const kd__sample_rows *rows,
                               int64_t texts, kd_batch *batch);
void kd__sample_rows_free(kd_context *context, kd__sample_rows *rows);

#endif
