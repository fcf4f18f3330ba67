using System.Security.Cryptography;
using Nubabel.Api.Tests.Races;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Commands;

/// <summary>Keys out to a directory of their own and back, as an operator does it.</summary>
public sealed class SubjectKeyVerbsTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("nubabel-keys-").FullName;
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.New();

    public async Task DisposeAsync()
    {
        await database.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_database_that_was_restored_without_its_keys_serves_again_when_they_are_back()
    {
        var given = Path.Combine(folder, "key");
        await File.WriteAllTextAsync(given, Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)) + "\n");
        var (old, young, foreign) = (Path.Combine(folder, "subject-keys-20200101T000000Z.keys"), Path.Combine(folder, KeyBackup.NameOf(TimeProvider.System.GetUtcNow().AddDays(-6))), Path.Combine(folder, "notes.keys"));
        foreach (var path in new[] { old, young, foreign }) await File.WriteAllTextAsync(path, "x");
        TestTenant acme;
        await using (var api = await TestApi.Start(database)) acme = await api.SignUp();

        var exported = await NubabelCommand.Run(database, "subject-keys", "export", "--to", folder, "--key-file", given, "--keep-days", "7");
        Assert.True(exported.Code == 0, exported.ToString());
        Assert.Equal((false, true, true), (File.Exists(old), File.Exists(young), File.Exists(foreign)));
        var file = Assert.Single(Directory.EnumerateFiles(folder, KeyBackup.Pattern), path => path != young);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));

        // What pg_dump --exclude-table-data leaves.
        await database.Run("truncate nubabel.subject_keys");
        Assert.Contains("nubabel subject-keys import", (await Assert.ThrowsAsync<KeysMissing>(() => TestApi.Start(database))).Message, StringComparison.Ordinal);
        var missing = await NubabelCommand.Run(database, "subject-keys", "check");
        Assert.True(missing.Code == 1 && missing.Errors.Contains($"no key: {acme.Id} user-{acme.User}", StringComparison.Ordinal), missing.ToString());
        Assert.Equal(1, (await NubabelCommand.Run(database, "subject-keys", "import", file)).Code);
        var imported = await NubabelCommand.Run(database, "subject-keys", "import", file, "--key-file", given);
        Assert.True(imported.Code == 0, imported.ToString());
        Assert.Equal(0, (await NubabelCommand.Run(database, "subject-keys", "check")).Code);

        await using var again = await TestApi.Start(database);
        var owner = await Reply.To(again.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password });
        using var client = again.As(owner.Text("access_token"));
        Assert.Equal("Ada Lovelace", (await Reply.To(client, "GET", "/api/user")).Text("name"));
    }
}
