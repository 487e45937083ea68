/* A transport over MPI-3: Allgather, Ialltoallv and Iallgatherv of bytes, MPI_Test for progress. */
#include <kdistill/mpi.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 8, LISTS = 4 };

typedef struct {
    MPI_Comm comm;
    int rank, ranks;
    MPI_Request requests[REQUESTS];
    int *lists; /* (requests, LISTS, ranks): counts and places, until a request is complete */
} mpi_transport;

static kd_status fail(kd_status status, const char *text) { return kd_set_error(status, text); }

static kd_status check(int result, const char *call)
{
    char why[MPI_MAX_ERROR_STRING] = "", text[400];
    int length;
    if (result == MPI_SUCCESS) return KD_OK;
    MPI_Error_string(result, why, &length);
    snprintf(text, sizeof text, "%s: %.300s", call, why);
    return fail(KD_ERR_IO, text);
}

static int *list_of(const mpi_transport *t, int32_t request, int list)
{
    return t->lists + ((size_t)request * LISTS + (size_t)list) * (size_t)t->ranks;
}

/* Counts and places of MPI are ints. */
static kd_status check_size(int64_t bytes)
{
    char text[200];
    if (bytes <= INT_MAX) return KD_OK;
    snprintf(text, sizeof text,
             "MPI moves at most %d bytes at a time, got %lld: choose a smaller bucket_bytes",
             INT_MAX, (long long)bytes);
    return fail(KD_ERR_RANGE, text);
}

static kd_status gather(void *user, const void *mine, void *all, int64_t bytes)
{
    mpi_transport *t = user;
    const int n = (int)bytes;
    return check(MPI_Allgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, t->comm), "MPI_Allgather");
}

static kd_status start_pieces(void *user, int32_t request, const void *send,
                              const int64_t *offsets, void *received, int64_t stride)
{
    mpi_transport *t = user;
    int *counts = list_of(t, request, 0), *places = list_of(t, request, 1),
        *theirs = list_of(t, request, 2), *their_places = list_of(t, request, 3);
    kd_status status = check_size(offsets[t->ranks]);
    if (status == KD_OK) status = check_size(stride * t->ranks);
    if (status != KD_OK) return status;
    for (int r = 0; r < t->ranks; r++) {
        const int is_own = r == t->rank; /* own bytes stay where they are */
        counts[r] = is_own ? 0 : (int)(offsets[r + 1] - offsets[r]);
        places[r] = (int)offsets[r];
        theirs[r] = is_own ? 0 : (int)stride;
        their_places[r] = (int)(r * stride);
    }
    return check(MPI_Ialltoallv(send, counts, places, MPI_BYTE, received, theirs, their_places,
                                MPI_BYTE, t->comm, &t->requests[request]),
                 "MPI_Ialltoallv");
}

static kd_status start_share(void *user, int32_t request, void *values, const int64_t *offsets)
{
    mpi_transport *t = user;
    int *counts = list_of(t, request, 0), *places = list_of(t, request, 1);
    const kd_status status = check_size(offsets[t->ranks]);
    if (status != KD_OK) return status;
    for (int r = 0; r < t->ranks; r++) {
        counts[r] = (int)(offsets[r + 1] - offsets[r]);
        places[r] = (int)offsets[r];
    }
    return check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, values, counts, places, MPI_BYTE,
                                 t->comm, &t->requests[request]),
                 "MPI_Iallgatherv");
}

static kd_status complete(void *user, int32_t request, int32_t wait, int32_t *done)
{
    mpi_transport *t = user;
    int flag = 1;
    const kd_status status =
        wait ? check(MPI_Wait(&t->requests[request], MPI_STATUS_IGNORE), "MPI_Wait")
             : check(MPI_Test(&t->requests[request], &flag, MPI_STATUS_IGNORE), "MPI_Test");
    *done = flag;
    return status;
}

static void destroy(void *user)
{
    mpi_transport *t = user;
    int is_over = 0;
    MPI_Finalized(&is_over);
    if (!is_over) MPI_Comm_free(&t->comm);
    free(t->lists);
    free(t);
}

/* ---- making ---- */

/* A launcher that started many processes, each of which is alone: all would train the same. */
static kd_status check_launcher(int ranks)
{
    static const char *const names[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PALS_NRANKS",
                                         "SLURM_STEP_NUM_TASKS" };
    char text[300];
    for (size_t i = 0; ranks == 1 && i < sizeof names / sizeof *names; i++) {
        const char *told = getenv(names[i]);
        if (!told || atoi(told) < 2) continue;
        snprintf(text, sizeof text,
                 "this process is rank 0 of 1, but %s is %.20s: the launcher and this MPI do not "
                 "belong together (srun needs --mpi=pmix, or use the MPI's own mpirun)",
                 names[i], told);
        return fail(KD_ERR_STATE, text);
    }
    return KD_OK;
}

static kd_status check_initialized(void)
{
    int is_there = 0, is_over = 0;
    MPI_Initialized(&is_there);
    MPI_Finalized(&is_over);
    if (is_there && !is_over) return KD_OK;
    return fail(KD_ERR_STATE, is_over ? "MPI is finalized: free exchanges before MPI_Finalize"
                                      : "MPI is not initialized: call MPI_Init_thread first");
}

static kd_status open_transport(mpi_transport *t, MPI_Comm comm)
{
    kd_status status = check(MPI_Comm_dup(comm, &t->comm), "MPI_Comm_dup");
    if (status != KD_OK) return status;
    MPI_Comm_set_errhandler(t->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(t->comm, &t->rank);
    MPI_Comm_size(t->comm, &t->ranks);
    for (int i = 0; i < REQUESTS; i++) t->requests[i] = MPI_REQUEST_NULL;
    t->lists = calloc((size_t)REQUESTS * LISTS * (size_t)t->ranks, sizeof *t->lists);
    status = t->lists ? check_launcher(t->ranks) : fail(KD_ERR_MEMORY, "no memory for a transport");
    if (status == KD_OK) return KD_OK;
    MPI_Comm_free(&t->comm);
    free(t->lists);
    return status;
}

kd_status kd_transport_from_mpi(kd_transport *out, MPI_Comm comm)
{
    if (!out) return fail(KD_ERR_INVALID, "kd_transport_from_mpi: out is NULL");
    kd_status status = check_initialized();
    if (status != KD_OK) return status;
    mpi_transport *made = calloc(1, sizeof *made);
    if (!made) return fail(KD_ERR_MEMORY, "no memory for a transport");
    status = open_transport(made, comm);
    if (status != KD_OK) {
        free(made);
        return status;
    }
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    out->rank = made->rank;
    out->ranks = made->ranks;
    out->user = made;
    out->gather = gather;
    out->start_pieces = start_pieces;
    out->start_share = start_share;
    out->complete = complete;
    out->destroy = destroy;
    return KD_OK;
}
