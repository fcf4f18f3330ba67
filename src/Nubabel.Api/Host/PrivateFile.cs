namespace Nubabel.Api.Host;

/// <summary>Files that only the user of this process may read: keys and passwords of a development machine.</summary>
public static class PrivateFile
{
    /// <summary>Makes a new file, mode 600; one that is there is never overwritten.</summary>
    /// <exception cref="IOException">There is one.</exception>
    public static FileStream Create(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        // Set at the creation, not after it: there is no moment in which others could open it.
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }
}
