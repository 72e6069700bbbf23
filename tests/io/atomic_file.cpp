// SPDX-License-Identifier: Apache-2.0
#include "gdssm/io/atomic_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include "io/support.hpp"
#include "support/catch.hpp"

namespace {

using gdssm::AtomicFile;
using gdssm::open_input;
using gdssm::read_file;
using gdssm::write_file;
using gdssm::test::message_of;
using gdssm::test::TemporaryFolder;
using Names = std::set<std::string>;

static_assert(!std::is_copy_constructible_v<AtomicFile>, "two owners would rename one temporary file twice");

std::string some_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * 167 % 251);
  return bytes;
}

mode_t permissions(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

/// The exit status of a child process that runs `action`.
template <class Action>
int in_child(Action action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(action());
    } catch (...) {
      ::_exit(99);
    }
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/// Root may write everywhere, so become nobody during a test of permissions.
class Unprivileged {
 public:
  Unprivileged() {
    if (is_root_ && ::seteuid(65534) != 0) possible_ = false;
  }
  ~Unprivileged() {
    if (is_root_ && possible_ && ::seteuid(0) != 0) std::abort();
  }
  bool possible() const { return possible_; }

 private:
  bool is_root_ = ::geteuid() == 0;
  bool possible_ = true;
};

}  // namespace

TEST_CASE("A committed file holds every byte that was written and leaves nothing beside it", "[atomic_file]") {
  const TemporaryFolder folder;
  for (const std::size_t size : std::vector<std::size_t>{0, 1, 65535, 65536, 65537, 300001}) {
    const std::string bytes = some_bytes(size);
    write_file(folder / "whole", bytes);
    CHECK(read_file(folder / "whole") == bytes);

    AtomicFile pieces(folder / "pieces");
    for (std::size_t at = 0; at < size; at += 1000) pieces << bytes.substr(at, 999) << bytes.substr(at).substr(0, 0);
    for (std::size_t at = 0; at < 3; ++at) pieces.put('x') << at;
    pieces.commit();
    std::string expected;
    for (std::size_t at = 0; at < size; at += 1000) expected += bytes.substr(at, 999);
    CHECK(read_file(folder / "pieces") == expected + "x0x1x2");
  }
  CHECK(folder.names() == Names{"whole", "pieces"});
}

TEST_CASE("Nothing is to be seen of a new file before its commit", "[atomic_file]") {
  const TemporaryFolder folder;
  AtomicFile out(folder / "a.csv");
  out << some_bytes(100000) << std::flush;
  CHECK_FALSE(std::filesystem::exists(folder / "a.csv"));
  out.commit();
  CHECK(read_file(folder / "a.csv") == some_bytes(100000));
}

TEST_CASE("Without a commit the old file stays and the temporary file goes", "[atomic_file]") {
  const TemporaryFolder folder;
  write_file(folder / "a.csv", "old");
  {
    AtomicFile out(folder / "a.csv");
    out << some_bytes(100000) << std::flush;
    CHECK(folder.names().size() == 2);
  }
  CHECK(read_file(folder / "a.csv") == "old");
  CHECK(folder.names() == Names{"a.csv"});
}

TEST_CASE("A crash in mid-write leaves the old file, and the next run removes what the crash left", "[atomic_file]") {
  const TemporaryFolder folder;
  write_file(folder / "a.csv", "old");
  const int status = in_child([&]() -> int {
    AtomicFile out(folder / "a.csv");
    out << some_bytes(100000) << std::flush;
    ::_exit(7);  // without the destructor
  });
  CHECK(status == 7);
  CHECK(read_file(folder / "a.csv") == "old");
  CHECK(folder.names().size() == 2);
  // Removes only leftovers of this file; not a file that a living process writes, nor one of another name.
  AtomicFile living(folder / "a.csv");
  write_file(folder / "a.csv.b", "another's");
  write_file(folder / ".a.csv.1-x.tmp", "another's");
  CHECK(folder.names().size() == 4);
  write_file(folder / "a.csv", "new");
  CHECK(read_file(folder / "a.csv") == "new");
  CHECK(folder.names().size() == 4);
  living << "last";
  living.commit();
  CHECK(read_file(folder / "a.csv") == "last");
  CHECK(folder.names() == Names{"a.csv", "a.csv.b", ".a.csv.1-x.tmp"});
}

TEST_CASE("A handler of signals removes what is being written, and what has been written stays", "[atomic_file]") {
  const TemporaryFolder folder;
  const int status = in_child([&] {
    AtomicFile first(folder / "first"), second(folder / "second"), third(folder / "third");
    first << "whole";
    first.commit();
    second << some_bytes(100000) << std::flush;
    gdssm::remove_temporary_files();
    if (folder.names() != Names{"first"}) return 1;
    AtomicFile fourth(folder / "fourth");  // the places of those that are gone are not mistaken for its own
    gdssm::remove_temporary_files();
    if (message_of([&] { third.commit(); }).find("third: cannot rename to it") == std::string::npos) return 2;
    write_file(folder / "fifth", "after");
    return folder.names() == Names{"first", "fifth"} ? 0 : 3;
  });
  CHECK(status == 0);
  CHECK(read_file(folder / "first") == "whole");
}

TEST_CASE("Two writers of one file do not mix, the last commit stays", "[atomic_file]") {
  const TemporaryFolder folder;
  AtomicFile first(folder / "a"), second(folder / "a");
  first << "first";
  second << "second";
  second.commit();
  CHECK(read_file(folder / "a") == "second");
  first.commit();
  CHECK(read_file(folder / "a") == "first");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("A file keeps its permissions, a new one gets the umask's", "[atomic_file]") {
  const TemporaryFolder folder;
  const mode_t umask_before = ::umask(027);
  write_file(folder / "new", "");
  CHECK(permissions(folder / "new") == 0640);
  REQUIRE(::chmod((folder / "new").c_str(), 0666) == 0);
  write_file(folder / "new", "again");
  CHECK(permissions(folder / "new") == 0666);
  ::umask(umask_before);
}

TEST_CASE("Symbolic links are followed, also to a file that is not there yet", "[atomic_file]") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "data");
  std::filesystem::create_symlink("data/file", folder / "link");
  std::filesystem::create_symlink("link", folder / "link-to-link");
  for (const char* text : {"created", "replaced"}) {
    write_file(folder / "link-to-link", text);
    CHECK(read_file(folder / "data/file") == text);
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(std::filesystem::is_symlink(folder / "link-to-link"));
  }
  std::filesystem::create_symlink("loop", folder / "loop");
  CHECK(message_of([&] { write_file(folder / "loop", "x"); }) ==
        (folder / "loop").string() + ": cannot write: Too many levels of symbolic links");
}

TEST_CASE("A relative name means the folder in which the file was begun, and long names work", "[atomic_file]") {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  const std::string longest(255, 'n');
  std::filesystem::current_path(folder.path());
  {
    AtomicFile out("a.csv");
    out << "rows";
    std::filesystem::current_path(before);
    out.commit();
  }
  CHECK(read_file(folder / "a.csv") == "rows");
  write_file(folder / longest, "long");
  CHECK(folder.names() == Names{"a.csv", longest});
  CHECK(message_of([&] { write_file(folder / (longest + "n"), ""); }) ==
        (folder / (longest + "n")).string() + ": cannot write: File name too long");
}

TEST_CASE("Where no file can be written the error names the file and the reason", "[atomic_file][misuse]") {
  const TemporaryFolder folder;
  const std::string missing = (folder / "no").string(), inside = missing + "/a.csv";
  CHECK(message_of([&] { AtomicFile out(inside); }) ==
        inside + ": cannot create a file in folder '" + missing + "': No such file or directory");
  const std::string itself = folder.path().string();
  CHECK(message_of([&] { AtomicFile out(itself); }) == itself + ": cannot write: Is a directory");
  CHECK(message_of([&] { AtomicFile out(missing + "/"); }) == missing + "/: cannot write: Is a directory");
  write_file(folder / "file", "");
  const std::string below = (folder / "file/a.csv").string();
  CHECK(message_of([&] { AtomicFile out(below); }) == below + ": cannot write: Not a directory");
  CHECK_THROWS_AS(AtomicFile(inside), std::system_error);
}

TEST_CASE("A folder or a file that may not be written is an error and stays as it was", "[atomic_file][misuse]") {
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  std::filesystem::create_directory(folder / "closed");
  write_file(folder / "read-only", "old");
  REQUIRE(::chmod((folder / "closed").c_str(), 0555) == 0);
  REQUIRE(::chmod((folder / "read-only").c_str(), 0444) == 0);
  std::string closed, read_only;
  bool possible = false;
  {
    const Unprivileged nobody;
    possible = nobody.possible();
    if (possible) {
      closed = message_of([&] { write_file(folder / "closed/a.csv", "new"); });
      read_only = message_of([&] { write_file(folder / "read-only", "new"); });
    }
  }
  if (!possible) {
    WARN("not tested: running as root, which cannot give up its rights here");
    return;
  }
  const std::string path = (folder / "closed").string();
  CHECK(closed == path + "/a.csv: cannot create a file in folder '" + path + "': Permission denied");
  CHECK(read_only == (folder / "read-only").string() + ": cannot write: Permission denied");
  CHECK(read_file(folder / "read-only") == "old");
  CHECK(folder.names() == Names{"closed", "read-only"});
}

TEST_CASE("A full disk is reported by whatever write meets it", "[atomic_file][misuse]") {
  if (!std::filesystem::exists("/dev/full")) {
    WARN("not tested: there is no /dev/full");
    return;
  }
  const std::string message = "/dev/full: cannot write: No space left on device";
  CHECK(message_of([] { write_file("/dev/full", "short, so it fails in commit"); }) == message);
  AtomicFile out("/dev/full");
  CHECK(message_of([&] { out << some_bytes(100000); }) == message);
  CHECK(message_of([&] { out.commit(); }) == "/dev/full: commit() comes once, and after writes that all succeeded");
}

TEST_CASE("A write that fails half-way leaves the old file and no other", "[atomic_file][misuse]") {
  const TemporaryFolder folder;
  write_file(folder / "a", "old");
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  rlimit low = limit;
  low.rlim_cur = 150000;
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &low) == 0);
  const std::string message = message_of([&] { write_file(folder / "a", some_bytes(200000)); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(message == (folder / "a").string() + ": cannot write: File too large");
  CHECK(read_file(folder / "a") == "old");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("Nothing can be written or committed after the commit", "[atomic_file][misuse]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "a").string();
  AtomicFile out(path);
  out << "whole";
  out.commit();
  CHECK(message_of([&] { out.commit(); }) == path + ": commit() comes once, and after writes that all succeeded");
  CHECK(message_of([&] { out << "more"; }) == path + ": cannot write: Bad file descriptor");
  CHECK(read_file(path) == "whole");
}

TEST_CASE("Devices and FIFOs are written directly and stay what they are", "[atomic_file]") {
  write_file("/dev/null", some_bytes(100000));
  CHECK(std::filesystem::is_character_file("/dev/null"));

  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const int reader = ::open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  write_file(folder / "pipe", "through");
  char bytes[16] = {};
  CHECK(::read(reader, bytes, sizeof bytes) == 7);
  ::close(reader);
  CHECK(std::string(bytes) == "through");
  CHECK(folder.names() == Names{"pipe"});
}

TEST_CASE("Standard output that goes to a file is continued, not replaced", "[atomic_file]") {
  if (!std::filesystem::exists("/dev/stdout")) {
    WARN("not tested: there is no /dev/stdout");
    return;
  }
  const TemporaryFolder folder;
  for (const int append : {O_APPEND, 0}) {
    write_file(folder / "log", append != 0 ? "before " : "");
    const int status = in_child([&] {
      const int log = ::open((folder / "log").c_str(), O_WRONLY | append);
      if (log < 0 || ::dup2(log, STDOUT_FILENO) < 0) return 1;
      if (append == 0 && ::write(log, "before ", 7) != 7) return 2;
      write_file("/dev/stdout", "in between");
      return ::write(STDOUT_FILENO, " after", 6) == 6 ? 0 : 3;
    });
    CHECK(status == 0);
    CHECK(read_file(folder / "log") == "before in between after");
  }
  CHECK(folder.names() == Names{"log"});
}

TEST_CASE("A pipe is read to its end", "[atomic_file]") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const std::string bytes = some_bytes(300000);
  const pid_t writer = ::fork();
  if (writer == 0) {
    try {
      write_file(folder / "pipe", bytes);
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  CHECK(read_file(folder / "pipe") == bytes);
  int status = 1;
  REQUIRE(::waitpid(writer, &status, 0) == writer);
  CHECK(status == 0);
}

TEST_CASE("A file that cannot be read is an error with the file and the reason", "[atomic_file][misuse]") {
  const TemporaryFolder folder;
  const std::string missing = (folder / "missing").string(), itself = folder.path().string();
  CHECK(message_of([&] { read_file(missing); }) == missing + ": cannot open: No such file or directory");
  CHECK(message_of([&] { open_input(missing); }) == missing + ": cannot open: No such file or directory");
  CHECK(message_of([&] { read_file(itself); }) == itself + ": cannot read: Is a directory");
  CHECK(message_of([&] { open_input(itself); }) == itself + ": cannot open: Is a directory");
}
