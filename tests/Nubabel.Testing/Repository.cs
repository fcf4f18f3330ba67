namespace Nubabel.Testing;

/// <summary>The working tree that the tests were built from: contracts and sources are read from it.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    public static string At(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Nubabel.sln"))) return folder.FullName;
        throw new InvalidOperationException($"No Nubabel.sln above {AppContext.BaseDirectory}.");
    }
}
