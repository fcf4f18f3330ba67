using System.Runtime.InteropServices;

namespace Nubabel.Store;

/// <summary>What a directory lists is on disk only when the directory itself is flushed, which .NET has no call for.</summary>
internal static class Directories
{
    /// <summary>Writes a directory's list of files to disk.</summary>
    /// <exception cref="IOException">The system refuses.</exception>
    public static void Flush(string path)
    {
        // Windows writes it with the file.
        if (OperatingSystem.IsWindows()) return;
        var descriptor = open(path, 0);
        if (descriptor < 0) throw new IOException($"The directory {path} cannot be opened (error {Marshal.GetLastPInvokeError()}).");
        var failed = fsync(descriptor) < 0;
        var error = Marshal.GetLastPInvokeError();
        _ = close(descriptor);
        // Some network file systems refuse it; there it is on disk with the file (EINVAL 22).
        if (failed && error != 22) throw new IOException($"The directory {path} cannot be written to disk (error {error}).");
    }

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int fsync(int descriptor);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int close(int descriptor);
}
