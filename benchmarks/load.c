/* The load generator: sends to an echo server as fast as it answers, and reports the number of echoes and the server's
 * processor time. It polls and never sleeps: otherwise the server would pay for waking it up, and a fast server less
 * often than a slow one.
 *
 *     load MODE PORT COUNT SIZE SECONDS PROCESS
 *
 * MODE is echo, tls, churn (one echo per connection), udp, bulk (SIZE bytes on one connection), idle or idle-tls (until
 * standard input ends); COUNT is the number of connections or sources. Every mode prints one line of JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define WARMUP 0.3
#define BUFFER (1 << 18)
#define SAMPLES (1 << 22)

static char buffer[BUFFER];

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec * 1e-9;
}

/* The processor time of all threads of a process, in nanoseconds (proc_pid_schedstat(5)). */
static unsigned long long used(int process) {
    char path[300];
    unsigned long long total = 0, one;
    struct dirent *task;
    snprintf(path, sizeof path, "/proc/%d/task", process);
    DIR *tasks = opendir(path);
    if (!tasks) fail("the server has exited");
    while ((task = readdir(tasks))) {
        if (task->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", process, task->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%llu", &one) == 1) total += one;
        fclose(file);
    }
    closedir(tasks);
    return total;
}

/* A connected socket. Every 20,000 sockets have another source address, because ports run out. */
static int connected(int port, int kind, long number) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, kind, 0), on = 1;
    if (made < 0) fail("socket");
    from.sin_addr.s_addr = htonl(0x7f000001 + (unsigned)(number / 20000 % 200));
    setsockopt(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(made, (struct sockaddr *)&from, sizeof from)) fail("bind");
    if (connect(made, (struct sockaddr *)&to, sizeof to)) fail("connect");
    if (kind == SOCK_STREAM) setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(made, F_SETFL, O_NONBLOCK);
    return made;
}

struct window {
    double opened, began, seconds;
    int process, measuring;
    unsigned long long cpu;
    long echoes, count;
};

/* Whether the measurement is over. It begins after the warm-up, and after two echoes per connection. */
static int over(struct window *window) {
    double at = now();
    if (!window->measuring) {
        if (at - window->opened < WARMUP || window->echoes < 2 * window->count) return 0;
        window->measuring = 1, window->echoes = 0, window->began = at, window->cpu = used(window->process);
        return 0;
    }
    if (at - window->began < window->seconds) return 0;
    window->cpu = used(window->process) - window->cpu;
    window->seconds = at - window->began;
    return 1;
}

static int byNumber(const void *one, const void *other) {
    unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return (a > b) - (a < b);
}

static void printResult(struct window *window, unsigned *samples, long count, long lost) {
    printf("{\"echoes\": %ld, \"seconds\": %.6f, \"cpu_ns\": %llu, \"lost\": %ld", window->echoes, window->seconds,
           window->cpu, lost);
    if (count) {
        qsort(samples, count, sizeof *samples, byNumber);
        printf(", \"median_ns\": %u, \"p99_ns\": %u", samples[count / 2], samples[count * 99 / 100]);
    }
    puts("}");
}

struct client {
    int fd;
    size_t sent, got;
    double sentAt;
#ifdef WITH_TLS
    SSL *tls;
#endif
};

static ssize_t put(struct client *client, const char *data, size_t size) {
#ifdef WITH_TLS
    if (client->tls) {
        int done = SSL_write(client->tls, data, size);
        if (done > 0) return done;
        errno = SSL_get_error(client->tls, done) == SSL_ERROR_SSL ? EPROTO : EAGAIN;
        return -1;
    }
#endif
    return send(client->fd, data, size, MSG_NOSIGNAL);
}

static ssize_t take(struct client *client) {
#ifdef WITH_TLS
    if (client->tls) {
        int done = SSL_read(client->tls, buffer, BUFFER);
        if (done > 0) return done;
        errno = EAGAIN;
        return SSL_get_error(client->tls, done) == SSL_ERROR_WANT_READ ? -1 : 0;
    }
#endif
    return recv(client->fd, buffer, BUFFER, 0);
}

/* Send and receive as much as possible; returns whether the whole echo was received. */
static int step(struct client *client, const char *message, size_t size) {
    for (;;) {
        ssize_t done = 0;
        int moved = 0;
        if (client->sent < size && (done = put(client, message + client->sent, size - client->sent)) > 0)
            client->sent += done, moved = 1;
        done = take(client);
        if (done == 0 || (done < 0 && errno != EAGAIN)) fail("the server closed a connection");
        if (done > 0) {
            if (client->got + done > size || memcmp(buffer, message + client->got, done)) {
                fprintf(stderr, "load: wrong data received\n");
                exit(1);
            }
            client->got += done, moved = 1;
            if (client->got == size) return client->got = client->sent = 0, 1;
        }
        if (!moved) return 0;
    }
}

static char *messageOf(size_t size) {
    char *message = malloc(size);
    for (size_t index = 0; index < size; index++) message[index] = (char)(index * 31 + index / 256);
    return message;
}

static void watch(int poller, struct client *client) {
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = client}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event)) fail("epoll_ctl");
}

#ifdef WITH_TLS
/* A TLS 1.3 session on a connected socket; the handshake blocks. */
static SSL *secured(int fd) {
    static SSL_CTX *context;
    if (!context) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    fcntl(fd, F_SETFL, 0);
    if (SSL_connect(tls) != 1) fail("TLS handshake");
    return tls;
}
#endif

/* End every other connection by FIN, after reading the rest, and the others by a reset: what is still cold after the one
 * is warm after the other. */
static void finish(struct client *clients, int count) {
    struct linger reset = {1, 0};
    struct timeval limit = {.tv_usec = 200000};
    for (int index = 0; index < count; index++) {
        struct client *client = &clients[index];
        if (index % 2 == 0) {
            setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(client->fd);
            continue;
        }
#ifdef WITH_TLS
        if (client->tls) SSL_shutdown(client->tls);
#endif
        shutdown(client->fd, SHUT_WR);
        fcntl(client->fd, F_SETFL, 0);
        setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    for (int index = 1; index < count; index += 2) {
        ssize_t done;
        while ((done = recv(clients[index].fd, buffer, BUFFER, 0)) > 0) continue;
        if (done < 0 && errno == EAGAIN) return;
    }
}

static void echo(int port, int count, size_t size, double seconds, int process, int tls) {
    struct client *clients = calloc(count, sizeof *clients);
    unsigned *samples = count == 1 ? malloc(SAMPLES * sizeof *samples) : NULL;
    char *message = messageOf(size);
    long sampled = 0;
    int poller = epoll_create1(0);
    for (int index = 0; index < count; index++) {
        clients[index].fd = connected(port, SOCK_STREAM, index);
#ifdef WITH_TLS
        if (tls) {
            clients[index].tls = secured(clients[index].fd);
            fcntl(clients[index].fd, F_SETFL, O_NONBLOCK);
        }
#endif
        watch(poller, &clients[index]);
    }
    struct window window = {.opened = now(), .seconds = seconds, .process = process, .count = count};
    while (!over(&window)) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 0);
        for (int index = 0; index < ready; index++) {
            struct client *client = events[index].data.ptr;
            while (step(client, message, size)) {
                double at = samples ? now() : 0;
                if (samples && client->sentAt && window.measuring && sampled < SAMPLES)
                    samples[sampled++] = (at - client->sentAt) * 1e9;
                client->sentAt = at;
                window.echoes++;
            }
        }
    }
    printResult(&window, samples, sampled, 0);
    finish(clients, count);
}

static void bulk(int port, size_t bytes, int process) {
    int fd = connected(port, SOCK_STREAM, 0);
    static char out[BUFFER];
    size_t sent = 0, got = 0;
    unsigned long long cpu = used(process);
    double began = now();
    while (got < bytes) {
        ssize_t done;
        size_t left = bytes - sent < BUFFER ? bytes - sent : BUFFER;
        if (left && (done = send(fd, out, left, MSG_NOSIGNAL)) > 0) sent += done;
        while ((done = recv(fd, buffer, BUFFER, 0)) > 0) got += done;
        if (done == 0) fail("the server closed the connection");
    }
    printf("{\"bytes\": %zu, \"seconds\": %.6f, \"cpu_ns\": %llu}\n", bytes, now() - began, used(process) - cpu);
}

static void churn(int port, int count, size_t size, double seconds, int process) {
    struct client *clients = calloc(count, sizeof *clients);
    char *message = messageOf(size);
    long number = 0;
    int poller = epoll_create1(0);
    struct window window = {.opened = now(), .seconds = seconds, .process = process, .count = count};
    for (int index = 0; index < count; index++) {
        clients[index].fd = connected(port, SOCK_STREAM, number++);
        watch(poller, &clients[index]);
    }
    while (!over(&window)) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 0);
        for (int index = 0; index < ready; index++) {
            struct client *client = events[index].data.ptr;
            if (!step(client, message, size)) continue;
            close(client->fd);
            client->fd = connected(port, SOCK_STREAM, number++);
            watch(poller, client);
            window.echoes++;
        }
    }
    printResult(&window, NULL, 0, 0);
}

static void datagrams(int port, int count, size_t size, double seconds, int process) {
    struct client *clients = calloc(count, sizeof *clients);
    char *message = messageOf(size);
    long lost = 0;
    struct window window = {.opened = now(), .seconds = seconds, .process = process, .count = count};
    for (int index = 0; index < count; index++) clients[index].fd = connected(port, SOCK_DGRAM, index);
    while (!over(&window)) {
        double at = now();
        for (int index = 0; index < count; index++) {
            struct client *client = &clients[index];
            ssize_t done = client->sentAt ? recv(client->fd, buffer, BUFFER, 0) : 0;
            if (done < 0 && at - client->sentAt < 0.05) continue;
            lost += done < 0;
            if (client->sentAt && done >= 0) {
                if ((size_t)done != size || memcmp(buffer, message, size)) fail("wrong datagram");
                window.echoes++;
            }
            client->sentAt = at;
            send(client->fd, message, size, 0);
        }
    }
    printResult(&window, NULL, 0, lost);
}

/* Open connections within a minute, exchange one byte on each, and hold them until standard input ends. */
static void idle(int port, int count, int tls) {
    alarm(60);
    for (int index = 0; index < count; index++) {
        struct client client = {.fd = connected(port, SOCK_STREAM, index)};
        fcntl(client.fd, F_SETFL, 0);
#ifdef WITH_TLS
        if (tls) client.tls = secured(client.fd);
#endif
        if (put(&client, "x", 1) != 1 || take(&client) != 1) fail("no echo");
    }
    alarm(0);
    printf("{\"open\": %d}\n", count);
    fflush(stdout);
    while (read(0, buffer, 1) > 0) continue;
}

int main(int words, char **word) {
    if (words != 7) {
        fprintf(stderr, "usage: load MODE PORT COUNT SIZE SECONDS PROCESS\n");
        return 2;
    }
    const char *mode = word[1];
    int port = atoi(word[2]), count = atoi(word[3]), process = atoi(word[6]);
    size_t size = atol(word[4]);
    double seconds = atof(word[5]);
    if (!strcmp(mode, "echo")) echo(port, count, size, seconds, process, 0);
    else if (!strcmp(mode, "tls")) echo(port, count, size, seconds, process, 1);
    else if (!strcmp(mode, "churn")) churn(port, count, size, seconds, process);
    else if (!strcmp(mode, "udp")) datagrams(port, count, size, seconds, process);
    else if (!strcmp(mode, "bulk")) bulk(port, size, process);
    else idle(port, count, !strcmp(mode, "idle-tls"));
    return 0;
}
