// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "gdssm/core/error.hpp"

// Reading of whole files, and writing of files that appear complete or not at all. POSIX.
// Errors of the operating system are std::system_error, "FILE: cannot DO THIS: REASON".

namespace gdssm {

namespace detail {

/// Throws the error in errno, naming the file.
[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_file(const std::filesystem::path& file, const char* action,
                                                               const std::filesystem::path& object = {}) {
  const int reason = errno;
  std::string text = file.string() + ": cannot " + action;
  if (!object.empty()) text += " '" + object.string() + "'";
  throw std::system_error(reason, std::generic_category(), text);
}

/// A file descriptor, closed on destruction.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

/// Buffered output to a descriptor. Every failure throws, so a stream with exceptions(badbit) reports the reason.
class DescriptorBuffer : public std::streambuf {
 public:
  DescriptorBuffer(Descriptor to, std::filesystem::path name) : to_(std::move(to)), name_(std::move(name)) {
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }

  int descriptor() const { return to_.number(); }

  void flush() {
    write_through(pbase(), pptr() - pbase());
    setp(pbase(), epptr());
  }

  /// Closes the file; some file systems report a full disk only here. Later writes fail.
  void close() {
    flush();
    setp(nullptr, nullptr);
    if (::close(to_.release()) != 0) refuse_file(name_, "close");
  }

 protected:
  int_type overflow(int_type c) override {
    flush();
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    const char byte = traits_type::to_char_type(c);
    xsputn(&byte, 1);
    return c;
  }

  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    if (count > epptr() - pptr()) flush();
    if (count > epptr() - pptr()) {
      write_through(bytes, count);
    } else if (count > 0) {
      std::memcpy(pptr(), bytes, static_cast<std::size_t>(count));
      pbump(static_cast<int>(count));
    }
    return count;
  }

  int sync() override {
    flush();
    return 0;
  }

 private:
  void write_through(const char* bytes, std::streamsize count) {
    while (count > 0) {
      const ssize_t written = ::write(to_.number(), bytes, static_cast<std::size_t>(count));
      if (written < 0 && errno != EINTR) refuse_file(name_, "write");
      if (written <= 0) continue;
      bytes += written;
      count -= written;
    }
  }

  Descriptor to_;
  std::filesystem::path name_;
  std::vector<char> buffer_ = std::vector<char>(std::size_t{1} << 16);
};

/// A place in the list of this process's temporary files. Places are reused and never freed. Whoever takes a name out
/// of a place owns the name, since a signal may come at any moment and any thread may then walk the list.
struct TemporaryPlace {
  std::atomic<char*> name{nullptr};
  TemporaryPlace* next = nullptr;
};

inline std::atomic<TemporaryPlace*> temporary_places{nullptr};
inline char removed_by_signal = '\0';  ///< its address marks places whose file `remove_temporary_files` has removed

/// The name of a file that is removed on destruction or by `remove_temporary_files`, unless it is dropped first.
class TemporaryName {
 public:
  TemporaryName() = default;
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  ~TemporaryName() {
    if (place_) ::unlink(path_.c_str());
    drop();
  }

  bool empty() const { return place_ == nullptr; }
  const std::filesystem::path& path() const { return path_; }

  /// Takes over a file, preferably before it exists.
  void hold(std::filesystem::path path) {
    drop();
    char* const name = ::strdup(path.c_str());
    if (name == nullptr) throw std::bad_alloc();
    path_ = std::move(path);
    for (place_ = temporary_places; place_; place_ = place_->next)
      if (char* free = nullptr; place_->name.compare_exchange_strong(free, name)) return;
    place_ = new TemporaryPlace;
    place_->name = name;
    place_->next = temporary_places;
    while (!temporary_places.compare_exchange_weak(place_->next, place_)) continue;
  }

  /// Gives up the file without removing it.
  void drop() {
    if (!place_) return;
    char* const name = std::exchange(place_, nullptr)->name.exchange(nullptr);
    if (name != &removed_by_signal) std::free(name);
  }

 private:
  std::filesystem::path path_;
  TemporaryPlace* place_ = nullptr;
};

/// True when the descriptor's file could be locked or the file system has no locks; false while it is locked elsewhere.
inline bool try_lock(int descriptor) { return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

/// Whether a name is `stem`, two numbers and ".tmp": ".target.PID-ATTEMPT.tmp".
inline bool is_temporary_of(std::string_view name, std::string_view stem) {
  constexpr std::string_view end = ".tmp";
  if (name.size() < stem.size() + end.size() || !name.starts_with(stem) || !name.ends_with(end)) return false;
  name.remove_prefix(stem.size());
  name.remove_suffix(end.size());
  const auto number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const std::size_t dash = name.find('-');
  return dash != std::string_view::npos && number(name.substr(0, dash)) && number(name.substr(dash + 1));
}

/// Removes the temporary files of killed writers: files with this stem that nobody has locked. Files that cannot be
/// listed, opened or locked stay.
inline void remove_stale_temporaries(const std::filesystem::path& folder, const std::string& stem) {
  std::error_code none;
  for (std::filesystem::directory_iterator at(folder, none), end; !none && at != end; at.increment(none)) {
    const std::filesystem::path& path = at->path();
    if (!is_temporary_of(path.filename().native(), stem)) continue;
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat opened {
    }, named{};
    // The name may belong to another file by now: its writer may have ended and the next one begun.
    if (file.number() >= 0 && ::flock(file.number(), LOCK_EX | LOCK_NB) == 0 && ::fstat(file.number(), &opened) == 0 &&
        ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
      ::unlink(path.c_str());
  }
}

/// The end of a chain of symbolic links, whether or not the file exists: renaming must not replace the link itself.
inline std::filesystem::path follow_links(std::filesystem::path path) {
  std::error_code none;
  for (int links = 0; links < 40 && std::filesystem::is_symlink(path, none); ++links) {
    path = path.parent_path() / std::filesystem::read_symlink(path, none);
  }
  return path;
}

/// The standard stream of this process that writes to this very file, or -1.
inline int standard_stream(const struct stat& file) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat open {};
    if (::fstat(stream, &open) == 0 && open.st_dev == file.st_dev && open.st_ino == file.st_ino) return stream;
  }
  return -1;
}

/// Makes a new name in a folder durable. Does nothing if the folder is not readable or the file system cannot do it.
inline void sync_folder(const std::filesystem::path& folder, const std::filesystem::path& file) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.number() < 0 && errno == EACCES) return;
  if (opened.number() < 0) refuse_file(file, "open its folder", folder);
  if (::fsync(opened.number()) != 0 && errno != EINVAL && errno != ENOTSUP)
    refuse_file(file, "sync its folder", folder);
}

}  // namespace detail

/// An output stream whose file appears complete, at `commit()`, or not at all:
///     AtomicFile out("results/summary.json");
///     out << text;
///     out.commit();
/// Output goes to a temporary file beside the target. `commit` flushes and syncs it, renames it to the target and syncs
/// the folder. Destruction without `commit` removes it and leaves the target unchanged. The temporary file of a killed
/// process is removed by the next one that writes the same target; a lock tells it from a file being written.
///
/// Symbolic links are followed, and an existing file's permissions are kept. Targets that cannot be replaced by
/// renaming are written directly: devices, FIFOs, and this process's standard output or error (/dev/stdout; a file that
/// it is redirected to keeps its position and content).
///
/// Errors  std::system_error naming the file and the reason, from the constructor (folder missing, folder or file not
///         writable, a folder), from any write and from `commit` (disk full, ...); std::invalid_argument from a second
///         `commit` and from one after a failed write
class AtomicFile : public std::ostream {
 public:
  explicit AtomicFile(const std::filesystem::path& path)
      : std::ostream(nullptr), name_(path), target_(detail::follow_links(path)), buffer_(open(), path) {
    rdbuf(&buffer_);
    exceptions(std::ios::badbit);
  }

  /// Makes the file appear. Call it once, after the last write.
  void commit() {
    if (commit_called_ || !good()) refuse(name_.string(), "commit() comes once, and after writes that all succeeded");
    commit_called_ = true;
    buffer_.flush();
    if (temporary_.empty()) return buffer_.close();
    if (::fsync(buffer_.descriptor()) != 0) detail::refuse_file(name_, "sync");
    const detail::Descriptor lock(::fcntl(buffer_.descriptor(), F_DUPFD_CLOEXEC, 0));  // held until the rename
    buffer_.close();
    if (::rename(temporary_.path().c_str(), target_.c_str()) != 0)
      detail::refuse_file(name_, "rename to it", temporary_.path());
    temporary_.drop();
    detail::sync_folder(target_.parent_path(), name_);
  }

 private:
  detail::Descriptor open() {
    struct stat old {};
    const bool exists = ::stat(name_.c_str(), &old) == 0;
    if (!exists && errno != ENOENT) detail::refuse_file(name_, "write");
    if ((exists && S_ISDIR(old.st_mode)) || !target_.has_filename()) {
      errno = EISDIR;
      detail::refuse_file(name_, "write");
    }
    if (const int stream = exists ? detail::standard_stream(old) : -1; stream >= 0) {
      return opened(::fcntl(stream, F_DUPFD_CLOEXEC, 0));
    }
    if (exists && !S_ISREG(old.st_mode)) return opened(::open(name_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
    // Renaming requires only the folder's permission, but a file that is marked read-only must stay.
    if (exists && ::faccessat(AT_FDCWD, target_.c_str(), W_OK, AT_EACCESS) != 0) detail::refuse_file(name_, "write");
    target_ = std::filesystem::absolute(target_);  // the program may change its folder before commit()
    return create_beside(exists ? old.st_mode & 0777 : 0666, exists);
  }

  detail::Descriptor opened(int number) const {
    if (number < 0) detail::refuse_file(name_, "write");
    return detail::Descriptor(number);
  }

  detail::Descriptor create_beside(mode_t mode, bool exact) {
    std::string stem(".");
    stem.append(target_.filename().string(), 0, 200);  // names may have 255 bytes
    stem += '.';
    detail::remove_stale_temporaries(target_.parent_path(), stem);
    stem.append(std::to_string(::getpid())).append("-");
    for (int attempt = 0;; ++attempt) {
      const std::filesystem::path candidate = target_.parent_path() / (stem + std::to_string(attempt) + ".tmp");
      temporary_.hold(candidate);  // before it exists, as a signal may come in between
      detail::Descriptor created(::open(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
      if (created.number() < 0) {
        const int reason = errno;
        temporary_.drop();
        errno = reason;
        if (reason != EEXIST) detail::refuse_file(name_, "create a file in folder", target_.parent_path());
        continue;
      }
      struct stat status {};
      if (!detail::try_lock(created.number()) || ::fstat(created.number(), &status) != 0 || status.st_nlink == 0)
        continue;  // another process took it for stale before it was locked
      // The umask may have removed bits. Where permissions cannot be set, narrower ones do no harm.
      if (exact) ::fchmod(created.number(), mode);
      return created;
    }
  }

  std::filesystem::path name_;       // as the caller wrote it, for messages
  std::filesystem::path target_;     // after following links
  detail::TemporaryName temporary_;  // empty: writes directly to the target
  detail::DescriptorBuffer buffer_;
  bool commit_called_ = false;
};

/// Removes the temporary files of every `AtomicFile` of this process. For handlers of signals that end the process:
/// safe at any moment, on any thread. Committed files stay; a commit after this is an error.
inline void remove_temporary_files() noexcept {
  const int reason = errno;
  for (detail::TemporaryPlace* place = detail::temporary_places; place; place = place->next) {
    char* name = place->name;
    if (name != nullptr && name != &detail::removed_by_signal &&
        place->name.compare_exchange_strong(name, &detail::removed_by_signal))
      ::unlink(name);
  }
  errno = reason;
}

/// Writes a whole file; see `AtomicFile`.
inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.commit();
}

/// Reads a whole file or pipe.
/// Errors  std::system_error naming the file and the reason
inline std::string read_file(const std::filesystem::path& path) {
  const detail::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) detail::refuse_file(path, "open");
  std::string bytes(static_cast<std::size_t>(status.st_size) + 1, '\0');  // one more, to find the end without growing
  for (std::size_t size = 0;;) {
    const ssize_t got = ::read(file.number(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno != EINTR) detail::refuse_file(path, "read");
    if (got > 0) size += static_cast<std::size_t>(got);
    if (got == 0) {
      bytes.resize(size);
      return bytes;
    }
    if (size == bytes.size()) bytes.resize(std::max<std::size_t>(2 * size, 1 << 16));
  }
}

/// Opens a file for reading as a stream.
/// Errors  std::system_error naming the file and the reason
inline std::ifstream open_input(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) detail::refuse_file(path, "open");
  if (std::filesystem::is_directory(path)) {  // ifstream opens folders too
    errno = EISDIR;
    detail::refuse_file(path, "open");
  }
  return file;
}

}  // namespace gdssm
