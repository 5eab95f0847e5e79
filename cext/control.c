/* Messages on sockets that keep them apart: to the starter and to clients (control_send), and between launcher and child (report_send). */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "execution.h"
#include "launch.h"

/* sendmsg that waits for room, also on a socket that does not block. */
static int send_message(int socket, const struct msghdr *message) {
  struct pollfd room = {.fd = socket, .events = POLLOUT};

  while (sendmsg(socket, message, MSG_NOSIGNAL) < 0) {
    if (errno == EAGAIN) {
      if (poll(&room, 1, -1) < 0 && errno != EINTR)
        return -1;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

int control_send(int control, char type, const void *bytes, size_t length) {
  struct iovec parts[] = {{&type, 1}, {(void *)(uintptr_t)bytes, length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

  return send_message(control, &message);
}

int control_send_failure(int control, const struct failure *failure) {
  char payload[2 * sizeof(int32_t) + PATH_MAX];
  size_t length = strnlen(failure->path, sizeof failure->path);

  memcpy(payload, &failure->step, sizeof failure->step);
  memcpy(payload + sizeof(int32_t), &failure->error, sizeof failure->error);
  memcpy(payload + 2 * sizeof(int32_t), failure->path, length);
  return control_send(control, 'F', payload, 2 * sizeof(int32_t) + length);
}

/* By write(2): a seccomp filter of the user may be in force already, and that is the call which all of them allow. */
static int report_write(int socket, const char *packet, size_t length) {
  ssize_t written;

  do
    written = write(socket, packet, length);
  while (written < 0 && errno == EINTR);
  return written < 0 ? -1 : 0;
}

/* One packet with a descriptor in its train. */
static int send_with_descriptor(int socket, char *packet, size_t length, int descriptor) {
  struct iovec part = {packet, length};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } rights = {.bytes = {0}};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};

  rights.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(&rights.header), &descriptor, sizeof descriptor);
  return send_message(socket, &message);
}

int control_send_started(int control, pid_t pid, int terminal) {
  int32_t number = pid;
  char packet[1 + sizeof number] = {'S'};

  memcpy(packet + 1, &number, sizeof number);
  if (terminal < 0)
    return control_send(control, 'S', &number, sizeof number);
  return send_with_descriptor(control, packet, sizeof packet, terminal);
}

int report_send(int socket, enum report letter, const void *bytes, size_t length, int descriptor) {
  char packet[1 + REPORT_BYTES] = {(char)letter};

  if (length > REPORT_BYTES) {
    errno = EMSGSIZE;
    return -1;
  }
  if (length > 0)
    memcpy(packet + 1, bytes, length);
  if (descriptor < 0)
    return report_write(socket, packet, 1 + length);
  return send_with_descriptor(socket, packet, 1 + length, descriptor);
}
