using Nubabel.Testing;

namespace Nubabel.Tidy.Tests;

/// <summary>A file of the repository, read once.</summary>
/// <param name="Path">From the root, with forward slashes.</param>
public sealed record Source(string Path, string Text)
{
    private string? code;

    /// <summary>The C# without comments and literals, every character in its place, so that lines still count.</summary>
    public string Code => code ??= CSharp.Bare(Text);

    public string Folder => System.IO.Path.GetDirectoryName(Path)!.Replace('\\', '/');

    public int LineOf(int index) => 1 + Text.AsSpan(0, index).Count('\n');
}

/// <summary>What is under the style: the sources, schemas and documents of the working tree, whatever a build or a run has left apart.</summary>
public static class Sources
{
    private static readonly string[] Skipped = ["bin", "obj", ".git", ".data", ".vs", ".idea", "node_modules", "TestResults", "artifacts"];

    public static IReadOnlyList<Source> All { get; } = [.. Read("*.cs"), .. Read("*.sql"), .. Read("*.md"), .. Read("*.csproj")];

    public static IEnumerable<Source> CSharp => All.Where(s => s.Path.EndsWith(".cs", StringComparison.Ordinal));
    public static IEnumerable<Source> Product => CSharp.Where(s => s.Path.StartsWith("src/", StringComparison.Ordinal));
    public static IEnumerable<Source> Under(string folder) => CSharp.Where(s => s.Path.StartsWith($"src/{folder}/", StringComparison.Ordinal));
    public static IEnumerable<Source> OfKind(string extension) => All.Where(s => s.Path.EndsWith(extension, StringComparison.Ordinal));

    private static IEnumerable<Source> Read(string pattern) =>
        Files(new DirectoryInfo(Repository.Root), pattern)
            .Select(f => new Source(Path.GetRelativePath(Repository.Root, f.FullName).Replace('\\', '/'), File.ReadAllText(f.FullName)))
            .OrderBy(s => s.Path, StringComparer.Ordinal);

    private static IEnumerable<FileInfo> Files(DirectoryInfo folder, string pattern) =>
        folder.EnumerateFiles(pattern).Concat(folder.EnumerateDirectories().Where(d => !Skipped.Contains(d.Name)).SelectMany(d => Files(d, pattern)));
}
