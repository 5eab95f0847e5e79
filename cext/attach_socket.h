/* The socket that attach, wait and the API reach a running container's monitor by. */
#ifndef OCIRUN_ATTACH_SOCKET_H
#define OCIRUN_ATTACH_SOCKET_H

#include "plan.h"

/* Make a listening SOCK_SEQPACKET socket at `path`, in place of what a killed monitor has left there; mode 0600, CLOEXEC, not blocking.
 * `path` may be longer than sun_path: only its last component must fit. Leaves the working directory at "/". Descriptor, or -1 with errno. */
must_check int attach_listen(const char *path);
/* The next client, CLOEXEC, not blocking; -1 when none waits. Only our own uid and root get in. */
must_check int attach_accept(int listener);
/* Remove the name and let nobody else connect. Who has connected before can still be accepted. */
void attach_refuse(int listener, const char *path);

#endif
