/* Ranks as threads of one process, each with a context of its own, over a transport that copies. */
#ifndef UNIT_RANKKIT_H
#define UNIT_RANKKIT_H

#include "unit.h"

#include <pthread.h>

enum { KIT_RANKS = 4, KIT_REQUESTS = 9, KIT_GATHER = 8 };

/* What a rank has posted under a request's number. */
typedef struct {
    int64_t posted, copied; /* so many times */
    const char *send;
    char *received;
    int64_t offsets[KIT_RANKS + 1], stride;
    int32_t shares;
} mesh_post;

typedef struct mesh mesh;
typedef struct {
    mesh *of;
    int32_t rank;
    int64_t calls;
} mesh_rank;

struct mesh {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int32_t ranks, is_down;
    mesh_post posts[KIT_RANKS][KIT_REQUESTS];
    mesh_rank rank[KIT_RANKS];
    int64_t fail_at;   /* that call of the last rank fails; 0: none */
    int32_t late;      /* a request is complete only when it is asked for so many times */
    int32_t destroyed; /* calls of `destroy` */
    int32_t last_isa;  /* the last rank's processor can no more than this; 0: as the others */
    /* changes what a rank says in a gather; NULL: nothing */
    void (*lie)(mesh_rank *rank, char *mine, int64_t bytes);
};

static inline kd_status mesh_call(mesh_rank *r)
{
    mesh *m = r->of;
    r->calls++;
    if (m->fail_at && r->rank == m->ranks - 1 && r->calls >= m->fail_at) m->is_down = 1;
    if (!m->is_down) return KD_OK;
    pthread_cond_broadcast(&m->changed);
    return kd_set_error(KD_ERR_IO, "the net is down");
}

static inline void mesh_copy(mesh *m, int32_t rank, int32_t request)
{
    mesh_post *own = &m->posts[rank][request];
    for (int32_t r = 0; r < m->ranks; r++) {
        const mesh_post *other = &m->posts[r][request];
        const int64_t *at = own->offsets;
        if (r == rank) continue;
        if (own->shares && at[r + 1] > at[r])
            memcpy(own->received + at[r], other->send + at[r], (size_t)(at[r + 1] - at[r]));
        if (!own->shares && at[rank + 1] > at[rank])
            memcpy(own->received + r * own->stride, other->send + at[rank],
                   (size_t)(at[rank + 1] - at[rank]));
    }
    own->copied++;
    pthread_cond_broadcast(&m->changed);
}

/* 1: everybody has what this rank sent, and it has theirs. */
static inline int mesh_try(mesh *m, int32_t rank, int32_t request)
{
    const mesh_post *own = &m->posts[rank][request];
    for (int32_t r = 0; r < m->ranks; r++)
        if (m->posts[r][request].posted < own->posted) return 0;
    if (own->copied < own->posted) mesh_copy(m, rank, request);
    for (int32_t r = 0; r < m->ranks; r++)
        if (m->posts[r][request].copied < own->posted) return 0;
    return 1;
}

static inline kd_status mesh_start(mesh_rank *r, int32_t request, const void *send,
                                   const int64_t *offsets, void *received, int64_t stride,
                                   int32_t shares)
{
    mesh *m = r->of;
    pthread_mutex_lock(&m->mutex);
    kd_status status = mesh_call(r);
    if (status == KD_OK) {
        mesh_post *p = &m->posts[r->rank][request];
        p->send = send, p->received = received, p->stride = stride, p->shares = shares;
        memcpy(p->offsets, offsets, (size_t)(m->ranks + 1) * sizeof *offsets);
        p->posted++;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

static inline kd_status mesh_start_pieces(void *user, int32_t request, const void *send,
                                          const int64_t *offsets, void *received, int64_t stride)
{
    return mesh_start(user, request, send, offsets, received, stride, 0);
}

static inline kd_status mesh_start_share(void *user, int32_t request, void *values,
                                         const int64_t *offsets)
{
    return mesh_start(user, request, values, offsets, values, 0, 1);
}

static inline kd_status mesh_complete(void *user, int32_t request, int32_t wait, int32_t *done)
{
    mesh_rank *r = user;
    mesh *m = r->of;
    pthread_mutex_lock(&m->mutex);
    kd_status status = mesh_call(r);
    *done = 0;
    if (status == KD_OK && !wait && m->late && r->calls % (m->late + 1)) {
        pthread_mutex_unlock(&m->mutex);
        return KD_OK;
    }
    while (status == KD_OK && !(*done = mesh_try(m, r->rank, request)) && wait) {
        pthread_cond_wait(&m->changed, &m->mutex);
        if (m->is_down) status = kd_set_error(KD_ERR_IO, "the net is down");
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

static inline kd_status mesh_gather(void *user, const void *mine, void *all, int64_t bytes)
{
    mesh_rank *r = user;
    int64_t offsets[KIT_RANKS + 1];
    int32_t done;
    char *said = malloc((size_t)bytes);
    memcpy(said, mine, (size_t)bytes);
    if (r->of->lie) r->of->lie(r, said, bytes);
    memcpy((char *)all + r->rank * bytes, said, (size_t)bytes);
    for (int32_t i = 0; i <= r->of->ranks; i++) offsets[i] = i * bytes;
    kd_status status = mesh_start_share(user, KIT_GATHER, all, offsets);
    if (status == KD_OK) status = mesh_complete(user, KIT_GATHER, 1, &done);
    free(said);
    return status;
}

static inline void mesh_destroy(void *user)
{
    mesh *m = ((mesh_rank *)user)->of;
    pthread_mutex_lock(&m->mutex);
    m->destroyed++;
    pthread_mutex_unlock(&m->mutex);
}

static inline void mesh_make(mesh *m, int32_t ranks)
{
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->mutex, NULL);
    pthread_cond_init(&m->changed, NULL);
    m->ranks = ranks;
    for (int32_t r = 0; r < ranks; r++) m->rank[r] = (mesh_rank){ m, r, 0 };
}

static inline kd_transport mesh_transport(mesh *m, int32_t rank)
{
    return (kd_transport){ .struct_size = sizeof(kd_transport),
                           .rank = rank,
                           .ranks = m->ranks,
                           .user = &m->rank[rank],
                           .gather = mesh_gather,
                           .start_pieces = mesh_start_pieces,
                           .start_share = mesh_start_share,
                           .complete = mesh_complete,
                           .destroy = mesh_destroy };
}

/* ---- a rank's work ---- */

typedef struct {
    mesh *net;
    int32_t rank, ranks;
    kd_context *ctx;
    kd_status status; /* what `run` returned, and the message of its thread */
    char message[512];
    void *user;
    kd_status (*run)(void *user, int32_t rank, kd_context *ctx, const kd_transport *transport);
} rank_thread;

static inline void *rank_main(void *argument)
{
    rank_thread *t = argument;
    const kd_transport transport = mesh_transport(t->net, t->rank);
    t->status = t->run(t->user, t->rank, t->ctx, &transport);
    snprintf(t->message, sizeof t->message, "%s", kd_last_error());
    return NULL;
}

/* A context of a processor that can no more than `isa`. */
static inline kd_context *rank_context(int32_t threads, int32_t isa)
{
    kd_context *ctx = NULL;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    if (!isa) return make_context(threads);
    o.threads = threads;
    o.seed = 7;
    o.isa = isa;
    OK(kd_context_create(&ctx, &o));
    OK(kd_context_set_blas_threads(ctx, 1));
    return ctx;
}

/* Runs a function on each rank, and waits for all; contexts of threads[r] threads. */
static inline void on_ranks(mesh *net, rank_thread t[KIT_RANKS], int32_t threads,
                            kd_status (*run)(void *, int32_t, kd_context *, const kd_transport *),
                            void *user)
{
    pthread_t thread[KIT_RANKS];
    for (int32_t r = 0; r < net->ranks; r++) {
        t[r] = (rank_thread){ .net = net,
                              .rank = r,
                              .ranks = net->ranks,
                              .ctx = rank_context(threads, r + 1 == net->ranks ? net->last_isa : 0),
                              .user = user,
                              .run = run };
        ck_assert_int_eq(pthread_create(&thread[r], NULL, rank_main, &t[r]), 0);
    }
    for (int32_t r = 0; r < net->ranks; r++) pthread_join(thread[r], NULL);
    for (int32_t r = 0; r < net->ranks; r++) kd_context_free(t[r].ctx);
}

#endif
