using System.Runtime.InteropServices;

namespace Nubabel.Store;

/// <summary>What a list of files promises in POSIX and .NET has no call for: a name that is given once, and a list that is on disk.</summary>
internal static class Directories
{
    private const int AlreadyThere = 17;

    /// <summary>What file systems without hard links answer: EPERM, ENOSYS, and EOPNOTSUPP of Linux and of macOS.</summary>
    private static readonly int[] NoLinks = [1, 38, 95, 102];

    /// <summary>Moves a finished file to a name that nobody has. Of several who do it at once, one does; the others' files stay where they are.</summary>
    /// <returns>Whether it was this one.</returns>
    /// <exception cref="IOException">The system refuses.</exception>
    public static bool TryName(string made, string path)
    {
        // File.Move looks first and renames then, over a file that came in between. Linking looks and names in one step; Windows moves in one.
        if (OperatingSystem.IsWindows()) return TryMove(made, path);
        if (link(made, path) == 0)
        {
            File.Delete(made);
            return true;
        }
        var error = Marshal.GetLastPInvokeError();
        if (error == AlreadyThere) return false;
        if (NoLinks.Contains(error)) return TryMove(made, path);
        throw new IOException($"The file {made} cannot be named {path} (error {error}).");
    }

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

    private static bool TryMove(string made, string path)
    {
        try
        {
            File.Move(made, path, overwrite: false);
            return true;
        }
        catch (IOException) when (File.Exists(path))
        {
            return false;
        }
    }

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int link([MarshalAs(UnmanagedType.LPUTF8Str)] string made, [MarshalAs(UnmanagedType.LPUTF8Str)] string path);

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
