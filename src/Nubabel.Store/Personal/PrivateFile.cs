namespace Nubabel.Store;

/// <summary>Files that only the user of this process may read: keys, passwords, the ledger of erasures.</summary>
public static class PrivateFile
{
    /// <summary>Makes a new file, mode 600; one that is there is never overwritten.</summary>
    /// <param name="buffer">Bytes; 0: each write reaches the file at once.</param>
    /// <exception cref="IOException">There is one.</exception>
    public static FileStream Create(string path, int buffer = 4096)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = buffer };
        // Set at the creation, not after it: there is no moment in which others could open it.
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }

    /// <summary>Makes a file that is there whole or not at all, and on disk when this returns. Of several processes that do it at once, one does.</summary>
    /// <returns>Whether it was this one; the file is there in any case.</returns>
    /// <exception cref="IOException">The system refuses.</exception>
    public static bool TryMake(string path, ReadOnlySpan<byte> bytes)
    {
        var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var unfinished = Path.Combine(directory, $".{Guid.CreateVersion7():D}.tmp");
        using (var file = Create(unfinished, buffer: 0))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }
        var isFirst = Directories.TryName(unfinished, path);
        if (!isFirst) File.Delete(unfinished);
        Directories.Flush(directory);
        return isFirst;
    }
}
