/* Inside the executor: making the child that executes the steps of a plan. */
#ifndef OCIRUN_CHILD_H
#define OCIRUN_CHILD_H

#include <sys/types.h>

#include "execution.h"

/* The first step of this kind, and its number in `*index` when that is not NULL; or NULL. */
const struct step *find_step(const struct plan *plan, enum step_kind kind, int *index);

/* Clone the child, as the plan's `clone` step says (without one: fork). It waits for REPORT_GO. Its pid, or -1. */
must_check pid_t clone_child(struct execution *execution, uint64_t more_flags, struct failure *failure);

#endif
