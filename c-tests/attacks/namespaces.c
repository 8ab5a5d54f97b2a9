/* Attacks on what namespaces keep apart. The rest of the sandbox is not to stop them. */
#include "attack.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/utsname.h>

/* Attaches shared memory of another process. */
static int attach_memory(char **identifier)
{
    void *memory = shmat(atoi(identifier[0]), NULL, SHM_RDONLY);

    return judge("shmat", memory == (void *)-1 ? -1 : 0);
}

/* Opens a message queue of another process. */
static int open_queue(char **name)
{
    return judge("mq_open", mq_open(name[0], O_RDONLY));
}

/* Learns the name of the host. */
static int learn_host_name(char **name)
{
    struct utsname found;

    if (uname(&found))
        return cannot("ask for the host name");
    printf("host name %s\n", found.nodename);
    return strcmp(found.nodename, name[0]) ? REFUSED : SUCCEEDED;
}

/* Learns the user that runs the host, by the ids of the process or by who owns its files. */
static int learn_user(char **user)
{
    printf("user %u\n", getuid());
    return getuid() == (uid_t)atol(user[0]) ? SUCCEEDED : REFUSED;
}

ATTACKS({"attach-memory", attach_memory}, {"open-queue", open_queue}, {"host-name", learn_host_name},
        {"user", learn_user})
