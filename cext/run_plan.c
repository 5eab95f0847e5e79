/* The child's part of a plan: which function executes which kind, and the loop. */
#include <errno.h>

#include "execution.h"

/* Steps that take only the step itself, as the tree and tar code has them. */
static int untar_step(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  return step_untar(step, failure);
}

static int tar_changes_step(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  return step_tar_changes(step, failure);
}

static int list_changes_step(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  return step_list_changes(step, failure);
}

static int remove_tree_step(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  return step_remove_tree(step, failure);
}

/* Kinds that are missing here belong to the monitor, to the time before the clone, or to the parent. */
static step_function *const functions[] = {
    [STEP_BECOME] = step_become,
    [STEP_PROPAGATION] = step_propagation,
    [STEP_OVERLAY] = step_overlay,
    [STEP_OPEN_ROOT] = step_open_root,
    [STEP_MOUNT] = step_mount,
    [STEP_BIND] = step_bind,
    [STEP_MASK] = step_mask,
    [STEP_READONLY_PATH] = step_readonly_path,
    [STEP_MAKE_SYMLINK] = step_make_symlink,
    [STEP_MAKE_NODE] = step_make_node,
    [STEP_BIND_DEVICE] = step_bind_device,
    [STEP_MAKE_DIRECTORY] = step_make_directory,
    [STEP_CONSOLE] = step_console,
    [STEP_POPULATE] = step_populate,
    [STEP_PREPARE_DIRECTORY] = step_prepare_directory,
    [STEP_PIVOT] = step_pivot,
    [STEP_READONLY_ROOT] = step_readonly_root,
    [STEP_LOOPBACK] = step_loopback,
    [STEP_HOSTNAME] = step_hostname,
    [STEP_DOMAINNAME] = step_domainname,
    [STEP_SYSCTL] = step_sysctl,
    [STEP_RLIMIT] = step_rlimit,
    [STEP_UMASK] = step_umask,
    [STEP_SESSION_KEYRING] = step_session_keyring,
    [STEP_WORKING_DIRECTORY] = step_working_directory,
    [STEP_CREDENTIALS] = step_credentials,
    [STEP_EXEC_LABEL] = step_exec_label,
    [STEP_NO_NEW_PRIVILEGES] = step_no_new_privileges,
    [STEP_SECCOMP] = step_seccomp,
    [STEP_PARENT_DEATH_SIGNAL] = step_parent_death_signal,
    [STEP_COMMAND] = step_command,
    [STEP_UNTAR] = untar_step,
    [STEP_TAR_CHANGES] = tar_changes_step,
    [STEP_LIST_CHANGES] = list_changes_step,
    [STEP_REMOVE_TREE] = remove_tree_step,
};

int run_child_steps(struct execution *execution, struct failure *failure) {
  for (uint32_t index = 0; index < execution->plan->step_count; index++) {
    const struct step *step = &execution->plan->steps[index];
    step_function *function = step->kind < sizeof functions / sizeof *functions ? functions[step->kind] : NULL;

    failure->step = (int32_t)index;
    if (function != NULL && function(execution, step, failure) < 0)
      return -1;
  }
  return 0;
}
