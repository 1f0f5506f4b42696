// Makes every call the tracer interposes, in a directory given as the first argument, which the test has
// filled with the files "in.<call>" for the calls that read. Prints each result with its errno, so that
// two runs can be compared.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <dirent.h>
#include <glob.h>
#include <ftw.h>
#include <fts.h>
#include <wordexp.h>
#include <netdb.h>
#include <dlfcn.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <linux/openat2.h>

extern char **environ;
int __open_2(const char *, int), __open64_2(const char *, int);
int __openat_2(int, const char *, int), __openat64_2(int, const char *, int);
int __open(const char *, int, ...), __open64(const char *, int, ...);
int __xstat(int, const char *, struct stat *), __xstat64(int, const char *, struct stat64 *);
int __lxstat(int, const char *, struct stat *), __lxstat64(int, const char *, struct stat64 *);
int __fxstatat(int, int, const char *, struct stat *, int), __fxstatat64(int, int, const char *, struct stat64 *, int);
ssize_t __readlink_chk(const char *, char *, size_t, size_t), __readlinkat_chk(int, const char *, char *, size_t, size_t);
char *__realpath_chk(const char *, char *, size_t);

static void say(const char *what, long r) { int e = errno; printf("%s %ld %d\n", what, r, r < 0 ? e : 0); errno = 0; }
#define FD(what, call) do { long fd_ = (call); say(what, fd_ < 0 ? -1 : 0); if (fd_ >= 0) close(fd_); } while (0)
#define PTR(what, call) say(what, (call) ? 0 : -1)
static int never(const char *p, const struct stat *s, int f) { return 0; }
static int never_n(const char *p, const struct stat *s, int f, struct FTW *w) { return 0; }
static void child(const char *what, pid_t pid) { int st = -1; waitpid(pid, &st, 0); say(what, WEXITSTATUS(st)); }

static void opens(int d) {
    FD("open", open("in.open", O_RDONLY));
    FD("open-absent", open("no.open", O_RDONLY));
    FD("open64", open64("in.open64", O_RDONLY));
    FD("openat", openat(d, "in.openat", O_RDONLY));
    FD("openat64", openat64(d, "in.openat64", O_RDONLY));
    FD("__open", __open("in.__open", O_RDONLY));
    FD("__open64", __open64("in.__open64", O_RDONLY));
    FD("__open_2", __open_2("in.__open_2", O_RDONLY));
    FD("__open64_2", __open64_2("in.__open64_2", O_RDONLY));
    FD("__openat_2", __openat_2(d, "in.__openat_2", O_RDONLY));
    FD("__openat64_2", __openat64_2(d, "in.__openat64_2", O_RDONLY));
    FD("creat", creat("out.creat", 0600));
    FD("creat64", creat64("out.creat64", 0600));
    FD("open-create", open("out.open", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0640));
    struct stat st; stat("out.open", &st); say("mode", st.st_mode & 0777);
    struct open_how how = { .flags = O_RDONLY };
    FD("syscall-openat2", syscall(SYS_openat2, d, "in.openat2", &how, sizeof how));
    FD("syscall-openat", syscall(SYS_openat, AT_FDCWD, "in.syscall-openat", O_RDONLY, 0));
#ifdef SYS_open
    FD("syscall-open", syscall(SYS_open, "in.syscall-open", O_RDONLY, 0));
#else
    FD("syscall-open", open("in.syscall-open", O_RDONLY));
#endif
    FILE *f;
    f = fopen("in.fopen", "r"); PTR("fopen", f); f = freopen("in.freopen", "r", f); PTR("freopen", f);
    f = freopen64("in.freopen64", "r", f); PTR("freopen64", f); fclose(f);
    f = fopen64("in.fopen64", "re"); PTR("fopen64", f); fclose(f);
    f = fopen("out.fopen", "w+"); PTR("fopen-w", f); fclose(f);
    PTR("fopen-absent", fopen("no.fopen", "r"));
    char t1[] = "mkstemp.XXXXXX", t2[] = "mkostemp.XXXXXX", t3[] = "mkstemps.XXXXXX.s", t4[] = "mkostemps.XXXXXX.s", t5[] = "mkdtemp.XXXXXX";
    FD("mkstemp", mkstemp(t1)); FD("mkostemp", mkostemp(t2, O_CLOEXEC)); FD("mkstemps", mkstemps(t3, 2)); FD("mkostemps", mkostemps(t4, 2, 0));
    PTR("mkdtemp", mkdtemp(t5));
}

static void asks(int d) {
    struct stat s; struct stat64 s64; struct statx sx; char b[4096];
    say("stat", stat("in.stat", &s)); say("stat-absent", stat("no.stat", &s)); say("stat-notdir", stat("in.stat/x", &s));
    say("stat64", stat64("in.stat64", &s64));
    say("lstat", lstat("ln.lstat", &s)); say("lstat64", lstat64("ln.lstat64", &s64));
    say("stat-dir", stat("dir", &s));
    say("fstatat", fstatat(d, "in.fstatat", &s, 0)); say("fstatat64", fstatat64(d, "in.fstatat64", &s64, AT_SYMLINK_NOFOLLOW));
    say("fstatat-empty", fstatat(d, "", &s, AT_EMPTY_PATH));
    say("statx", statx(d, "in.statx", 0, STATX_BASIC_STATS, &sx));
    say("syscall-statx", syscall(SYS_statx, AT_FDCWD, "in.syscall-statx", 0, STATX_BASIC_STATS, &sx));
    say("syscall-newfstatat", syscall(SYS_newfstatat, AT_FDCWD, "in.syscall-newfstatat", &s, 0));
    say("__xstat", __xstat(1, "in.__xstat", &s)); say("__xstat64", __xstat64(1, "in.__xstat64", &s64));
    say("__lxstat", __lxstat(1, "in.__lxstat", &s)); say("__lxstat64", __lxstat64(1, "in.__lxstat64", &s64));
    say("__fxstatat", __fxstatat(1, d, "in.__fxstatat", &s, 0)); say("__fxstatat64", __fxstatat64(1, d, "in.__fxstatat64", &s64, 0));
    say("access", access("in.access", R_OK)); say("access-absent", access("no.access", F_OK));
    say("faccessat", faccessat(d, "in.faccessat", R_OK, 0));
    say("euidaccess", euidaccess("in.euidaccess", R_OK)); say("eaccess", eaccess("in.eaccess", R_OK));
    say("readlink", readlink("ln.readlink", b, sizeof b)); say("readlink-no", readlink("in.open", b, sizeof b));
    say("readlinkat", readlinkat(d, "ln.readlinkat", b, sizeof b));
    say("__readlink_chk", __readlink_chk("ln.__readlink_chk", b, 10, sizeof b));
    say("__readlinkat_chk", __readlinkat_chk(d, "ln.__readlinkat_chk", b, 10, sizeof b));
    PTR("realpath", realpath("ln.realpath", b)); PTR("realpath-null", realpath("in.realpath", 0));
    PTR("__realpath_chk", __realpath_chk("in.__realpath_chk", b, sizeof b));
    PTR("canonicalize", canonicalize_file_name("in.canonicalize_file_name"));
    say("stat-efault", stat((char *)1, &s)); say("open-efault", open((char *)1, 0)); say("exec-efault", execve((char *)1, environ, environ));
    PTR("getenv", getenv("TRACE_SET")); PTR("getenv-unset", getenv("TRACE_UNSET")); PTR("secure_getenv", secure_getenv("TRACE_SECURE"));
    setenv("TRACE_OWN", "mine", 1); PTR("getenv-own", getenv("TRACE_OWN"));
    PTR("getenv-hidden", getenv("LARDER_TRACE_LOG")); PTR("getenv-preload", getenv("LD_PRELOAD"));
}

static void lists(int d) {
    struct dirent **names; struct dirent64 **names64; DIR *dir; glob_t g; glob64_t g64; char *roots[] = { "dir.fts_open", 0 };
    PTR("opendir", dir = opendir("dir.opendir")); closedir(dir); PTR("opendir-absent", opendir("no.opendir"));
    PTR("fdopendir", dir = fdopendir(open("dir.fdopendir", O_RDONLY | O_DIRECTORY))); closedir(dir);
    say("scandir", scandir("dir.scandir", &names, 0, 0)); say("scandir64", scandir64("dir.scandir64", &names64, 0, 0));
    say("scandirat", scandirat(d, "dir.scandirat", &names, 0, 0));
    say("glob", glob("dir.glob/*", 0, 0, &g)); say("glob64", glob64("dir.glob64/*", 0, 0, &g64));
    say("ftw", ftw("dir.ftw", never, 4)); say("nftw", nftw("dir.nftw", never_n, 4, 0));
    PTR("fts_open", fts_open(roots, FTS_PHYSICAL, 0));
    char b[4096]; int fd = open("dir.getdents", O_RDONLY); say("getdents", syscall(SYS_getdents64, fd, b, sizeof b) > 0); close(fd);
}

static void changes(int d) {
    say("mkdir", mkdir("new.mkdir", 0700)); say("mkdir-there", mkdir("dir", 0700)); say("mkdirat", mkdirat(d, "new.mkdirat", 0700));
    FD("x", creat("a", 0600)); say("rename", rename("a", "a.rename")); say("renameat", renameat(d, "a.rename", d, "a.renameat"));
    say("renameat2", renameat2(d, "a.renameat", d, "a.renameat2", 0));
    say("link", link("a.renameat2", "a.link")); say("linkat", linkat(d, "a.link", d, "a.linkat", 0));
    say("symlink", symlink("to/nowhere", "a.symlink")); say("symlinkat", symlinkat("to/nowhere", d, "a.symlinkat"));
    say("truncate", truncate("a.link", 3)); say("truncate64", truncate64("a.linkat", 4));
    say("unlink", unlink("a.link")); say("unlinkat", unlinkat(d, "a.linkat", 0)); say("remove", remove("a.symlink"));
    say("rmdir", rmdir("new.mkdir")); say("unlink-absent", unlink("a.link"));
    say("syscall-mkdirat", syscall(SYS_mkdirat, d, "new.syscall", 0700));
    say("syscall-unlinkat", syscall(SYS_unlinkat, d, "new.syscall", AT_REMOVEDIR));
    say("syscall-renameat2", syscall(SYS_renameat2, d, "a.renameat2", d, "a.syscall", 0));
    say("chdir", chdir("dir")); say("chdir-up", chdir("..")); say("fchdir", fchdir(d));
}

static void reaches(void) {
    struct sockaddr_un un = { AF_UNIX, "no.socket" }; struct sockaddr_in in = { AF_INET, htons(1) }; struct sockaddr_in6 in6 = { AF_INET6, htons(2) };
    struct addrinfo *ai;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK); in6.sin6_addr = in6addr_loopback;
    int s = socket(AF_UNIX, SOCK_STREAM, 0); say("connect-unix", connect(s, (void *)&un, sizeof un)); close(s);
    s = socket(AF_INET, SOCK_STREAM, 0); say("connect-inet", connect(s, (void *)&in, sizeof in) < 0); close(s);
    s = socket(AF_INET6, SOCK_STREAM, 0); connect(s, (void *)&in6, sizeof in6); close(s);
    in.sin_port = htons(9); s = socket(AF_INET, SOCK_DGRAM, 0); say("sendto", sendto(s, "x", 1, 0, (void *)&in, sizeof in)); close(s);
    getaddrinfo("host.invalid", 0, 0, &ai);
    void *h = dlopen("libm.so.6", RTLD_NOW); PTR("dlopen", h); dlclose(h); PTR("dlopen-absent", dlopen("./no.so", RTLD_NOW));
}

// Each starts the program "hi", which the test has put into the directory and into PATH, by one call.
static void starts(char **argv) {
    char *args[] = { "hi", "x", 0 }, *few[] = { "ONLY=1", 0 }; pid_t p; char b[4096]; int fd;
    fflush(stdout);
#define FORKED(what, call) if (!(p = fork())) { call; _exit(99); } child(what, p); fflush(stdout)
    FORKED("execve", execve("./hi.execve", args, few));
    FORKED("execv", execv("./hi.execv", args));
    FORKED("execvp", execvp("hi.execvp", args));
    FORKED("execvpe", execvpe("hi.execvpe", args, few));
    FORKED("execl", execl("./hi.execl", "hi", "a", "b", "c", "d", "e", "f", "g", "h", (char *)0));
    FORKED("execlp", execlp("hi.execlp", "hi", "a", (char *)0));
    FORKED("execle", execle("./hi.execle", "hi", "a", "b", "c", "d", "e", "f", (char *)0, few));
    FORKED("fexecve", fexecve(open("hi.fexecve", O_RDONLY), args, few));
    FORKED("execveat", execveat(open(".", O_RDONLY), "hi.execveat", args, few, 0));
    FORKED("syscall-execve", syscall(SYS_execve, "./hi.syscall-execve", args, few));
    FORKED("null-env", execve("./hi.null-env", args, 0));
    FORKED("failing", { say("exec-absent", execv("./no.hi", args)); fflush(stdout); execv("./hi.failing", args); });
    if (!(p = vfork())) { execve("./hi.vfork", args, few); _exit(99); } child("vfork", p);
    say("posix_spawn", posix_spawn(&p, "./hi.posix_spawn", 0, 0, args, few)); child("spawned", p);
    say("posix_spawnp", posix_spawnp(&p, "hi.posix_spawnp", 0, 0, args, few)); child("spawned", p);
    say("posix_spawn-absent", posix_spawn(&p, "./no.spawn", 0, 0, args, few));
    posix_spawn_file_actions_t fa; posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "in.addopen", O_RDONLY, 0);
    say("addopen", posix_spawn(&p, "./hi.addopen", &fa, 0, args, few)); child("spawned", p);
    fflush(stdout);
    say("system", system("./hi.system; exit 7")); say("system-null", system(0)); fflush(stdout);
    FILE *f = popen("./hi.popen", "r"); PTR("popen", f); while (fgets(b, sizeof b, f)) fputs(b, stdout); say("pclose", pclose(f));
    // A program that closes everything and takes any number for its own files is still seen.
    fflush(stdout);
    FORKED("closed", { for (int i = 3; i < 1100; i++) close(i); for (int i = 3; i < 1000; i++) open("/dev/null", O_WRONLY);
                       open("in.after-close", O_RDONLY); execve("./hi.closed", args, few); });
}

int main(int argc, char **argv) {
    if (chdir(argv[1])) return 1;
    int d = open(".", O_RDONLY | O_DIRECTORY);
    opens(d); asks(d); lists(d); changes(d); reaches(); starts(argv);
    wordexp_t w; say("wordexp", wordexp("$HOME", &w, 0));
    return 42;
}
