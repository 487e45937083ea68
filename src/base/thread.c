/* The thread pool: ranges of work in parallel, results independent of the number of threads. */
#include "base/thread.h"

#include <pthread.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/os.h"

/* Threads start at the first loop. `gate` holds (generation << 16) + (open << 15) + active workers:
 * a worker enters a loop by raising `active` while the gate is open, and the caller closes the gate
 * when no tile is left and waits for active = 0. So a worker that sleeps costs nothing. Idle
 * workers spin shortly (loops follow each other within microseconds), then sleep. */
#define OPEN 0x8000u
#define ACTIVE 0x7fffu
#define SPINS 4000

typedef struct kd__pool {
    int64_t process; /* the process that the threads live in: after a fork there are none */
    int32_t workers;
    atomic_int busy;
    atomic_int stop;
    atomic_int sleepers;
    atomic_uint_fast64_t gate;
    atomic_int_fast64_t next;
    int64_t count;
    kd__work *work;
    void *argument;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t *threads;
    struct worker {
        struct kd__pool *pool;
        int32_t number;
    } * arguments;
} thread_pool;

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_tiles(thread_pool *pool, int32_t worker)
{
    int64_t index;
    while ((index = atomic_fetch_add(&pool->next, 1)) < pool->count)
        pool->work(pool->argument, index, worker);
}

static int enter(thread_pool *pool, uint_fast64_t *last)
{
    uint_fast64_t gate = atomic_load(&pool->gate);
    while ((gate & OPEN) && (gate >> 16) != *last)
        if (atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1)) {
            *last = gate >> 16;
            return 1;
        }
    return 0;
}

static void sleep_until_open(thread_pool *pool, uint_fast64_t last)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    for (;;) {
        uint_fast64_t gate = atomic_load(&pool->gate);
        if (atomic_load(&pool->stop) || ((gate & OPEN) && (gate >> 16) != last)) break;
        pthread_cond_wait(&pool->wake, &pool->mutex);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument)
{
    struct worker *self = argument;
    thread_pool *pool = self->pool;
    uint_fast64_t last = 0;
    while (!atomic_load(&pool->stop)) {
        int entered = 0;
        for (int spin = 0;
             spin < SPINS && !(entered = enter(pool, &last)) && !atomic_load(&pool->stop); spin++)
            pause_briefly();
        if (!entered) {
            sleep_until_open(pool, last);
            continue;
        }
        run_tiles(pool, self->number);
        atomic_fetch_sub(&pool->gate, 1);
    }
    return NULL;
}

static void start_threads(thread_pool *pool, int32_t wanted)
{
    pool->process = kd__os_process();
    pool->workers = 0;
    atomic_store(&pool->sleepers, 0);
    atomic_store(&pool->gate, 0);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (int32_t i = 0; i < wanted; i++) {
        pool->arguments[i] = (struct worker){ pool, i + 1 };
        if (pthread_create(&pool->threads[i], NULL, worker_main, &pool->arguments[i]) != 0) break;
        pool->workers++;
    }
}

static void run_alone(int64_t count, kd__work *work, void *argument)
{
    for (int64_t i = 0; i < count; i++) work(argument, i, 0);
}

static void open_gate(thread_pool *pool)
{
    uint_fast64_t generation = (atomic_load(&pool->gate) >> 16) + 1;
    atomic_store(&pool->gate, generation << 16 | OPEN);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void close_gate(thread_pool *pool)
{
    atomic_fetch_and(&pool->gate, ~(uint_fast64_t)OPEN);
    for (int spin = 0; atomic_load(&pool->gate) & ACTIVE; spin++)
        if (spin < SPINS) pause_briefly();
        else kd__os_yield();
}

void kd__parallel(kd_context *context, int64_t count, kd__work *work, void *argument)
{
    thread_pool *pool = context->pool;
    int free_pool = 0;
    if (count <= 1 || context->threads <= 1) {
        run_alone(count, work, argument);
        return;
    }
    /* a fork in the middle of another thread's loop */
    if (pool->process != kd__os_process()) atomic_store(&pool->busy, 0);
    if (!atomic_compare_exchange_strong(&pool->busy, &free_pool, 1)) {
        run_alone(count, work, argument);
        return;
    }
    if (pool->process != kd__os_process()) start_threads(pool, context->threads - 1);
    pool->work = work;
    pool->argument = argument;
    pool->count = count;
    atomic_store(&pool->next, 0);
    open_gate(pool);
    run_tiles(pool, 0);
    close_gate(pool);
    atomic_store(&pool->busy, 0);
}

kd_status kd__pool_create(kd_context *context)
{
    KD_TRY(KD_NEW(context, &context->pool, 1));
    KD_TRY(KD_NEW(context, &context->pool->threads, context->threads));
    return KD_NEW(context, &context->pool->arguments, context->threads);
}

void kd__pool_free(kd_context *context)
{
    thread_pool *pool = context->pool;
    if (!pool) return;
    if (pool->process == kd__os_process()) {
        pthread_mutex_lock(&pool->mutex);
        atomic_store(&pool->stop, 1);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
        for (int32_t i = 0; i < pool->workers; i++) pthread_join(pool->threads[i], NULL);
        pthread_mutex_destroy(&pool->mutex);
        pthread_cond_destroy(&pool->wake);
    }
    kd__release(context, pool->threads);
    kd__release(context, pool->arguments);
    kd__release(context, pool);
    context->pool = NULL;
}
