/* Namespaces of others, joined before the clone. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

/* Open what the joining steps name while the paths still mean what Python saw: joining a mount namespace changes them all.
 * `descriptors` has one place for each step. */
static int open_namespaces(const struct plan *plan, int *descriptors, struct failure *failure) {
  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];

    if (step->kind != STEP_JOIN_NAMESPACE)
      continue;
    failure->step = (int32_t)index;
    descriptors[index] = open(text_of(step, 0), O_RDONLY | O_CLOEXEC);
    if (descriptors[index] < 0)
      return fail(failure, text_of(step, 0));
  }
  return 0;
}

static int join(const struct plan *plan, const int *descriptors, struct failure *failure) {
  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];

    failure->step = (int32_t)index;
    if (step->kind == STEP_JOIN_NAMESPACE && setns(descriptors[index], (int)step->integers[0]) < 0)
      return fail(failure, text_of(step, 0));
    if (step->kind == STEP_JOIN_PROCESS && setns((int)step->integers[0], (int)step->integers[1]) < 0)
      return fail(failure, "");
  }
  return 0;
}

int join_namespaces(struct execution *execution, struct failure *failure) {
  uint32_t count = execution->plan->step_count;
  int *descriptors = calloc(count + 1, sizeof *descriptors);
  int result;

  if (descriptors == NULL)
    return fail(failure, "");
  for (uint32_t index = 0; index < count; index++)
    descriptors[index] = -1;
  result = open_namespaces(execution->plan, descriptors, failure);
  if (result == 0)
    result = join(execution->plan, descriptors, failure);
  for (uint32_t index = 0; index < count; index++)
    close_quietly(&descriptors[index]);
  free(descriptors);
  return result;
}
