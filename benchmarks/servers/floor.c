/* The floor: a minimal echo server on epoll(7), for streams ("floor tcp"; "floor splice" moves
 * them through a pipe in the kernel) and datagrams ("floor udp"). Its first line of output is its port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER (1 << 18)

static char buffer[BUFFER];
static int splicing;

struct connection {
    int fd;
    size_t waiting;
    char *rest;
    int pipe[2];
};

static int bound(int kind) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int made = socket(AF_INET, kind | SOCK_NONBLOCK, 0);
    if (bind(made, (struct sockaddr *)&at, size) || getsockname(made, (struct sockaddr *)&at, &size)) exit(1);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return made;
}

static void watch(int poller, int how, struct connection *connection, unsigned events) {
    struct epoll_event event = {events, {.ptr = connection}};
    epoll_ctl(poller, how, connection->fd, &event);
}

static void end(struct connection *connection) {
    close(connection->fd);
    if (splicing) close(connection->pipe[0]), close(connection->pipe[1]);
    free(connection->rest);
    free(connection);
}

/* Send. If the kernel does not accept all of it, keep the rest and stop reading until it is sent. */
static void answer(int poller, struct connection *connection, const char *data, size_t size) {
    ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) sent = 0;
    if ((size_t)sent == size) return;
    char *rest = malloc(size - sent);
    memcpy(rest, data + sent, size - sent);
    free(connection->rest);
    connection->rest = rest, connection->waiting = size - sent;
    watch(poller, EPOLL_CTL_MOD, connection, EPOLLOUT);
}

static void serve(int poller, struct connection *connection) {
    if (connection->waiting) {
        size_t size = connection->waiting;
        char *rest = connection->rest;
        connection->rest = NULL, connection->waiting = 0;
        answer(poller, connection, rest, size);
        free(rest);
        if (!connection->waiting) watch(poller, EPOLL_CTL_MOD, connection, EPOLLIN);
        return;
    }
    ssize_t got = recv(connection->fd, buffer, BUFFER, 0);
    if (got > 0) answer(poller, connection, buffer, got);
    else if (got == 0 || errno != EAGAIN) end(connection);
}

static void relay(int poller, struct connection *connection) {
    unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    int full = connection->waiting > 0;
    if (!full) {
        ssize_t got = splice(connection->fd, NULL, connection->pipe[1], NULL, BUFFER, flags);
        if (got > 0) connection->waiting = got;
        else if (got == 0 || errno != EAGAIN) return end(connection);
    }
    while (connection->waiting) {
        ssize_t sent = splice(connection->pipe[0], NULL, connection->fd, NULL, connection->waiting, flags);
        if (sent < 0 && errno != EAGAIN) return end(connection);
        if (sent <= 0) break;
        connection->waiting -= sent;
    }
    if (full != (connection->waiting > 0))
        watch(poller, EPOLL_CTL_MOD, connection, connection->waiting ? EPOLLOUT : EPOLLIN);
}

static void acceptAll(int poller, int listening) {
    int fd, on = 1;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->fd = fd;
        if (splicing && (pipe(connection->pipe) || fcntl(connection->pipe[0], F_SETPIPE_SZ, BUFFER) < 0)) exit(1);
        watch(poller, EPOLL_CTL_ADD, connection, EPOLLIN);
    }
}

static void streams(void) {
    struct connection listening = {.fd = bound(SOCK_STREAM)};
    int poller = epoll_create1(0);
    listen(listening.fd, 1024);
    watch(poller, EPOLL_CTL_ADD, &listening, EPOLLIN);
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(poller, events, 512, -1);
        for (int index = 0; index < ready; index++) {
            struct connection *connection = events[index].data.ptr;
            if (connection == &listening) acceptAll(poller, listening.fd);
            else if (splicing) relay(poller, connection);
            else serve(poller, connection);
        }
    }
}

static void datagrams(void) {
    struct connection port = {.fd = bound(SOCK_DGRAM)};
    int poller = epoll_create1(0);
    watch(poller, EPOLL_CTL_ADD, &port, EPOLLIN);
    for (;;) {
        struct epoll_event event;
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got;
        epoll_wait(poller, &event, 1, -1);
        while ((got = recvfrom(port.fd, buffer, BUFFER, 0, (struct sockaddr *)&from, &size)) >= 0)
            sendto(port.fd, buffer, got, 0, (struct sockaddr *)&from, size);
    }
}

int main(int count, char **word) {
    const char *mode = count > 1 ? word[1] : "tcp";
    splicing = !strcmp(mode, "splice");
    if (!strcmp(mode, "udp")) datagrams();
    streams();
}
