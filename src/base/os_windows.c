/* Windows 10 and later, by Win32 and the C runtime's descriptors. Paths become UTF-16. */
#ifdef _WIN32
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include "base/os.h"

#include <windows.h>

#include <shellapi.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096 /* characters of a path */

static int fail(DWORD error)
{
    errno = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND     ? ENOENT
            : error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION ? EACCES
            : error == ERROR_LOCK_VIOLATION                                    ? EAGAIN
            : error == ERROR_FILE_EXISTS || error == ERROR_ALREADY_EXISTS      ? EEXIST
            : error == ERROR_DISK_FULL                                         ? ENOSPC
            : error == ERROR_NOT_ENOUGH_MEMORY                                 ? ENOMEM
                                                                               : EIO;
    return -1;
}

static int widen(const char *path, wchar_t wide[LONGEST])
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, LONGEST) > 0) return 0;
    errno = ENOENT;
    return -1;
}

static HANDLE handle_of(int file) { return (HANDLE)_get_osfhandle(file); }

/* ---- files ---- */

int kd__os_open(const char *path, int how)
{
    static const DWORD access[] = { GENERIC_READ, GENERIC_WRITE, GENERIC_READ | GENERIC_WRITE },
                       make[] = { OPEN_EXISTING, CREATE_NEW, OPEN_ALWAYS };
    /* others may move a file that is open: that is how it is replaced */
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    wchar_t wide[LONGEST];
    if (widen(path, wide)) return -1;
    const HANDLE handle =
        CreateFileW(wide, access[how], share, NULL, make[how], FILE_ATTRIBUTE_NORMAL, NULL);
    if (handle == INVALID_HANDLE_VALUE) return fail(GetLastError());
    const int file = _open_osfhandle((intptr_t)handle, _O_BINARY | _O_NOINHERIT);
    if (file < 0) CloseHandle(handle);
    return file;
}

int kd__os_close(int file) { return _close(file); }

static unsigned piece(int64_t size) { return size > 1 << 30 ? 1u << 30 : (unsigned)size; }

int64_t kd__os_read(int file, void *to, int64_t size) { return _read(file, to, piece(size)); }

int64_t kd__os_read_at(int file, void *to, int64_t size, int64_t offset)
{
    OVERLAPPED at = { .Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32) };
    DWORD got = 0;
    if (ReadFile(handle_of(file), to, piece(size), &got, &at)) return got;
    const DWORD error = GetLastError();
    return error == ERROR_HANDLE_EOF ? 0 : fail(error);
}

int64_t kd__os_write(int file, const void *bytes, int64_t size)
{
    return _write(file, bytes, piece(size));
}

int kd__os_rewind(int file) { return _lseeki64(file, 0, SEEK_SET) == 0 ? 0 : -1; }

int kd__os_cut(int file, int64_t size)
{
    if (_chsize_s(file, size)) return -1;
    return _lseeki64(file, size, SEEK_SET) == size ? 0 : -1;
}

int kd__os_sync(int file) { return _commit(file); }

int kd__os_sync_folder_of(const char *path)
{
    (void)path; /* kd__os_replace writes through */
    return 0;
}

int kd__os_replace(const char *from, const char *to)
{
    wchar_t a[LONGEST], b[LONGEST];
    if (widen(from, a) || widen(to, b)) return -1;
    const DWORD how = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    return MoveFileExW(a, b, how) ? 0 : fail(GetLastError());
}

int kd__os_remove(const char *path)
{
    wchar_t wide[LONGEST];
    if (widen(path, wide)) return -1;
    return DeleteFileW(wide) || RemoveDirectoryW(wide) ? 0 : fail(GetLastError());
}

int kd__os_make_folder(const char *path)
{
    wchar_t wide[LONGEST];
    if (widen(path, wide)) return -1;
    return CreateDirectoryW(wide, NULL) ? 0 : fail(GetLastError());
}

FILE *kd__os_file(const char *path, const char *mode)
{
    wchar_t wide[LONGEST], wide_mode[8];
    if (widen(path, wide)) return NULL;
    for (int i = 0; i < 8 && (wide_mode[i] = (wchar_t)mode[i]); i++) continue;
    wide_mode[7] = 0;
    return _wfopen(wide, wide_mode);
}

int kd__os_seek(FILE *file, int64_t offset) { return _fseeki64(file, offset, SEEK_SET); }

int kd__os_separates(char c) { return c == '/' || c == '\\'; }

/* \\server\share, \folder of this drive, C:\folder */
int kd__os_is_absolute(const char *path)
{
    return kd__os_separates(path[0]) || (path[0] && path[1] == ':');
}

/* UTF-8 to be freed by free(); NULL without memory. */
static char *narrow(const wchar_t *wide)
{
    const int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = size > 0 ? malloc((size_t)size) : NULL;
    if (text) WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
    return text;
}

char *kd__os_absolute(const char *path)
{
    wchar_t wide[LONGEST], whole[LONGEST];
    if (widen(path, wide)) return NULL;
    const DWORD length = GetFullPathNameW(wide, LONGEST, whole, NULL);
    if (!length || length >= LONGEST || GetFileAttributesW(whole) == INVALID_FILE_ATTRIBUTES) {
        fail(GetLastError());
        return NULL;
    }
    return narrow(whole);
}

static int look(HANDLE handle, kd__os_facts *facts)
{
    BY_HANDLE_FILE_INFORMATION i;
    if (GetFileType(handle) != FILE_TYPE_DISK) {
        *facts = (kd__os_facts){ .kind = KD__OS_OTHER };
        return 0;
    }
    if (!GetFileInformationByHandle(handle, &i)) return fail(GetLastError());
    const int folder = (i.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    *facts = (kd__os_facts){ .size = (int64_t)i.nFileSizeHigh << 32 | i.nFileSizeLow,
                             .kind = folder ? KD__OS_FOLDER : KD__OS_FILE,
                             .device = i.dwVolumeSerialNumber,
                             .number = (uint64_t)i.nFileIndexHigh << 32 | i.nFileIndexLow };
    return 0;
}

int kd__os_look(int file, kd__os_facts *facts) { return look(handle_of(file), facts); }

int kd__os_look_at(const char *path, kd__os_facts *facts)
{
    wchar_t wide[LONGEST];
    if (widen(path, wide)) return -1;
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    const HANDLE handle =
        CreateFileW(wide, 0, share, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (handle == INVALID_HANDLE_VALUE) return fail(GetLastError());
    const int failed = look(handle, facts);
    CloseHandle(handle);
    return failed;
}

int kd__os_list(const char *folder, int (*visit)(void *user, const char *name), void *user)
{
    wchar_t wide[LONGEST];
    char name[LONGEST];
    WIN32_FIND_DATAW found;
    if (widen(folder, wide)) return -1;
    if (wcslen(wide) + 3 > LONGEST) return fail(ERROR_PATH_NOT_FOUND);
    wcscat(wide, L"/*");
    const HANDLE search = FindFirstFileW(wide, &found);
    if (search == INVALID_HANDLE_VALUE) return fail(GetLastError());
    do
        if (WideCharToMultiByte(CP_UTF8, 0, found.cFileName, -1, name, sizeof name, NULL, NULL) > 0)
            if (visit(user, name)) break;
    while (FindNextFileW(search, &found));
    FindClose(search);
    return 0;
}

const void *kd__os_map(int file, int64_t size)
{
    const HANDLE map = CreateFileMappingW(handle_of(file), NULL, PAGE_READONLY, 0, 0, NULL);
    const void *bytes = map ? MapViewOfFile(map, FILE_MAP_READ, 0, 0, (SIZE_T)size) : NULL;
    const DWORD error = GetLastError();
    if (map) CloseHandle(map); /* the view keeps it */
    if (!bytes) fail(error);
    return bytes;
}

void kd__os_unmap(const void *bytes, int64_t size)
{
    (void)size;
    UnmapViewOfFile(bytes);
}

int kd__os_maps_grow(void) { return 0; }

/* Locks are mandatory here: the byte that is locked lies far beyond the file's end. */
int kd__os_lock(int file, int wait)
{
    OVERLAPPED at = { .OffsetHigh = 0x40000000 };
    const DWORD how = LOCKFILE_EXCLUSIVE_LOCK | (wait ? 0 : LOCKFILE_FAIL_IMMEDIATELY);
    if (LockFileEx(handle_of(file), how, 0, 1, 0, &at)) return KD__OS_LOCKED;
    const DWORD error = GetLastError();
    fail(error);
    return error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING        ? KD__OS_ELSEWHERE
           : error == ERROR_INVALID_FUNCTION || error == ERROR_NOT_SUPPORTED ? KD__OS_NO_LOCKS
                                                                             : KD__OS_LOCK_FAILED;
}

/* ---- processors, processes, memory ---- */

int64_t kd__os_processors(void)
{
    DWORD_PTR mine = 0, all = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all) && mine)
        return __builtin_popcountll((unsigned long long)mine);
    const DWORD count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return count ? count : 1;
}

int64_t kd__os_process(void) { return GetCurrentProcessId(); }

void kd__os_begin_program(int *count, char ***words)
{
    int found = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &found);
    char **texts = wide ? calloc((size_t)found + 1, sizeof *texts) : NULL;
    for (int stream = 0; stream < 3; stream++) _setmode(stream, _O_BINARY);
    SetConsoleOutputCP(CP_UTF8);
    for (int i = 0; texts && i < found; i++)
        if (!(texts[i] = narrow(wide[i]))) texts = NULL; /* the words that main was given */
    if (wide) LocalFree(wide);
    if (!texts) return;
    char *ending = found ? strrchr(texts[0], '.') : NULL;
    if (ending && !_stricmp(ending, ".exe")) *ending = 0;
    *count = found;
    *words = texts; /* until the program ends */
}

int kd__os_is_terminal(int file) { return _isatty(file); }

void kd__os_yield(void) { SwitchToThread(); }

void kd__os_advise_huge(void *block, size_t bytes) { (void)block, (void)bytes; }

/* ---- time, text, numbers ---- */

double kd__os_now(void)
{
    LARGE_INTEGER ticks, second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&second);
    return (double)ticks.QuadPart / (double)second.QuadPart;
}

int kd__os_date(time_t seconds, int utc, struct tm *parts)
{
    return (utc ? gmtime_s(parts, &seconds) : localtime_s(parts, &seconds)) ? -1 : 0;
}

void kd__os_error_text(int code, char *text, size_t size)
{
    snprintf(text, size, "%s", strerror(code));
}

/* Boyer-Moore-Horspool's skips; short texts, mostly. */
const char *kd__os_find(const char *text, size_t size, const char *what, size_t bytes)
{
    if (!bytes) return text;
    if (bytes > size) return NULL;
    size_t skip[256];
    for (int c = 0; c < 256; c++) skip[c] = bytes;
    for (size_t i = 0; i + 1 < bytes; i++) skip[(unsigned char)what[i]] = bytes - 1 - i;
    for (size_t at = 0; at <= size - bytes; at += skip[(unsigned char)text[at + bytes - 1]])
        if (!memcmp(text + at, what, bytes)) return text + at;
    return NULL;
}

int kd__os_compare_letters(const char *a, const char *b) { return _stricmp(a, b); }

void *kd__os_locale_create(void) { return _create_locale(LC_ALL, "C"); }

void kd__os_locale_free(void *locale)
{
    if (locale) _free_locale((_locale_t)locale);
}

double kd__os_parse_double(void *locale, const char *text, char **end)
{
    return _strtod_l(text, end, (_locale_t)locale);
}

int kd__os_print_double(void *locale, char *text, size_t size, const char *format, int digits,
                        double value)
{
    return _snprintf_l(text, size, format, (_locale_t)locale, digits, value);
}

size_t kd__os_format_date(void *locale, char *text, size_t size, const char *format,
                          const struct tm *parts)
{
    return _strftime_l(text, size, format, parts, (_locale_t)locale);
}
#endif
typedef int kd__os_windows_is_here; /* no file is empty in C */
