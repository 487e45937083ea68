/* kdistill/mpi.h - ranks of MPI for an exchange: the library libkdistill-mpi.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
 *   2.  kd_transport_from_mpi(&transport, MPI_COMM_WORLD);
 *   3.  kd_exchange_create(&exchange, context, &transport, NULL);
 *   4.  kd_exchange_free(exchange);                             before MPI_Finalize
 *
 * pkg-config kdistill-mpi; compile and link with mpicc. */
#ifndef KDISTILL_MPI_H
#define KDISTILL_MPI_H

#include <kdistill/exchange.h>
#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ranks of a communicator, which is duplicated: all of them call this. MPI-3 is enough, and the
 * thread that calls MPI_Init_thread must be the one that calls the exchange.
 * - The transport belongs to the exchange that is made from it, and is freed with it.
 * - KD_ERR_STATE: MPI is not initialized; or this process is one of one while its launcher started
 *   several, each alone: srun without PMIx, or mpirun of another MPI. Since 0.2. */
KD_API kd_status kd_transport_from_mpi(kd_transport *out, MPI_Comm comm);

#ifdef __cplusplus
}
#endif
#endif
