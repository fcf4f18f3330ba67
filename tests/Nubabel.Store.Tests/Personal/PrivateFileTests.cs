namespace Nubabel.Store.Tests.Personal;

public sealed class PrivateFileTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("nubabel-files-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task Of_many_who_make_a_file_at_once_one_does_and_all_find_it_whole()
    {
        for (var round = 0; round < 100; round++)
        {
            var path = Path.Combine(directory, $"{round}", "file");
            using var all = new Barrier(8);
            var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Factory.StartNew(() =>
            {
                var mine = Enumerable.Repeat((byte)i, 10_000).ToArray();
                all.SignalAndWait();
                return (IsFirst: PrivateFile.TryMake(path, mine), Mine: mine, Found: File.ReadAllBytes(path));
            }, default, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
            var first = Assert.Single(made, m => m.IsFirst);
            Assert.All(made, m => Assert.Equal(first.Mine, m.Found));
            Assert.Equal([path], Directory.GetFiles(Path.GetDirectoryName(path)!));
            if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        }
    }

    [Fact]
    public void One_that_is_there_stays()
    {
        var path = Path.Combine(directory, "file");
        File.WriteAllText(path, "before");
        Assert.False(PrivateFile.TryMake(path, "after"u8));
        Assert.Throws<IOException>(() => PrivateFile.Create(path));
        Assert.Equal("before", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(directory));
    }
}
