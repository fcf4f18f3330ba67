using System.Diagnostics;
using System.Text.RegularExpressions;
using Nubabel.Api.Commands;
using Nubabel.Api.Host;
using Nubabel.Testing;

namespace Nubabel.Tidy.Tests;

/// <summary>
/// What no compiler reads: compose file, image, workflow, scripts. Each name in them must be one that the code, the configuration table, another of these files
/// or the documents know.
/// </summary>
public sealed partial class DeliveryTests
{
    /// <summary>Variables that belong to PostgreSQL's image and to ASP.NET Core; all others must be ours.</summary>
    private static readonly string[] PostgresImage = ["POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS"];
    private static readonly string[] Platform = ["ASPNETCORE_ENVIRONMENT"];

    private static readonly string[] Settled = [.. Settings.All.Select(s => s.Variable), .. Platform];
    private static readonly Yaml Compose = Yaml.File(Repository.At("docker-compose.yml"));
    private static readonly Yaml Services = Compose["services"];
    private static readonly string Dockerfile = Text("Dockerfile");
    private static readonly string Operations = Text("docs", "operations.md");
    private static readonly string Logins = Text("deploy", "logins.sql");
    private static readonly string Example = Text(".env.example");

    private static IEnumerable<string> Ours => Services.Entries.Where(s => s.Value["build"].Text == ".").Select(s => s.Key);

    [Fact]
    public void The_compose_file_has_PostgreSQL_the_migrations_and_the_API_and_the_documents_name_them()
    {
        Assert.Equal(["api", "db", "migrate"], Services.Keys.Order());
        Assert.Equal("postgres:17", Services["db"]["image"].Text);
        Assert.Equal(["migrate", "api"], Ours);
        foreach (var service in Services.Keys) Assert.Contains($"`{service}`", Operations, StringComparison.Ordinal);
        foreach (var service in Services.Entries)
            Assert.Empty(service.Value["depends_on"].Keys.Except(Services.Keys));
    }

    [Fact]
    public void Every_variable_that_compose_gives_a_container_is_read_there()
    {
        foreach (var service in Ours) Assert.Empty(Services[service]["environment"].Keys.Except(Settled));
        Assert.All(Services["db"]["environment"].Keys.Except(PostgresImage), v => Assert.Contains($"${v}\"", Logins, StringComparison.Ordinal));
        Assert.All(Used(Logins, PasswordVariable()), v => Assert.Contains(v, Services["db"]["environment"].Keys));
        Assert.All(Used(Dockerfile, ImageVariable()), v => Assert.Contains(v, Settled));
    }

    [Fact]
    public void Only_the_migrations_get_the_owners_password()
    {
        Assert.Equal(["migrate"], Ours.Where(s => Services[s]["environment"].Keys.Contains("ConnectionStrings__NubabelOwner")));
        Assert.DoesNotContain("POSTGRES_OWNER_PASSWORD", string.Concat(Services["api"]["environment"].Entries.Select(e => e.Value.Text)), StringComparison.Ordinal);
    }

    [Fact]
    public void Connection_strings_name_a_login_and_a_database_that_the_logins_file_makes_and_a_socket_that_both_sides_mount()
    {
        var strings = Ours.SelectMany(s => Services[s]["environment"].Entries.Where(e => e.Key.StartsWith("ConnectionStrings", StringComparison.Ordinal)).Select(e => (Service: s, e.Value.Text))).ToArray();
        Assert.Equal(5, strings.Length);
        foreach (var (service, text) in strings)
        {
            var parts = text.Split(';').Select(p => p.Split('=', 2)).ToDictionary(p => p[0], p => p[1]);
            Assert.Contains($"alter role {parts["Username"]} with login", Logins, StringComparison.Ordinal);
            Assert.Contains($"create database {parts["Database"]} ", Logins, StringComparison.Ordinal);
            Assert.Equal(Mounts(service)[parts["Host"]], Mounts("db")[parts["Host"]]);
        }
    }

    [Fact]
    public void Everything_that_is_mounted_exists()
    {
        var mounts = Services.Keys.SelectMany(s => Mounts(s).Values).Distinct().ToArray();
        Assert.Equal(Compose["volumes"].Keys.Order(), mounts.Where(m => !m.StartsWith('.')).Order());
        Assert.All(mounts.Where(m => m.StartsWith('.')), m => Assert.True(File.Exists(Repository.At(m[2..])), m));
        // ./dev runs the mounted file again by its name in the container.
        Assert.Contains(Mounts("db").Single(m => m.Value.StartsWith('.')).Key, Text("scripts", "database.sh"), StringComparison.Ordinal);
        Assert.Contains(Services["api"]["tmpfs"].Texts, t => Dockerfile.Contains($"NUBABEL_DATA={t}\n", StringComparison.Ordinal));
    }

    [Fact]
    public void Ports_are_those_that_the_image_and_the_scripts_use()
    {
        var api = Services["api"]["ports"].Texts.Single();
        var port = api[(api.LastIndexOf(':') + 1)..];
        Assert.Contains($"ASPNETCORE_URLS=http://+:{port} ", Dockerfile, StringComparison.Ordinal);
        Assert.Contains($"\nEXPOSE {port}\n", Dockerfile, StringComparison.Ordinal);
        Assert.Contains(DefaultOf(api), Operations, StringComparison.Ordinal);
        var db = Services["db"]["ports"].Texts.Single();
        Assert.EndsWith(":5432", db, StringComparison.Ordinal);
        Assert.StartsWith("127.0.0.1:", db, StringComparison.Ordinal);
        Assert.Contains($"compose_port={DefaultOf(db)}\n", Text("scripts", "database.sh"), StringComparison.Ordinal);
    }

    [Fact]
    public void Verbs_that_containers_run_exist()
    {
        var known = Verbs.All().Subcommands.Select(c => c.Name).ToArray();
        Assert.All(Ours.SelectMany(s => Services[s]["command"].Texts), v => Assert.Contains(v, known));
        Assert.Contains(Dockerfile.Split('\n'), l => l == "ENTRYPOINT [\"dotnet\", \"nubabel.dll\"]");
        Assert.Equal("nubabel", typeof(Verbs).Assembly.GetName().Name);
        var inImage = ImageVerb().Matches(Dockerfile).Select(m => m.Groups[1].Value).ToArray();
        Assert.Equal(["health", "serve"], inImage.Order());
        Assert.All(inImage, v => Assert.Contains(v, known));
        Assert.All(Sources.OfKind(".md").SelectMany(f => Used(f.Text, CommandLineVerb())), v => Assert.Contains(v, known));
    }

    [Fact]
    public void The_image_is_built_from_files_that_exist_and_does_not_run_as_root()
    {
        var copied = CopiedFile().Matches(Dockerfile).SelectMany(m => m.Groups[1].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)[..^1]).ToArray();
        Assert.All(copied, f => Assert.True(Path.Exists(Repository.At(f.TrimEnd('/'))), f));
        foreach (var project in Directory.EnumerateFiles(Repository.At("src"), "*.csproj", SearchOption.AllDirectories))
            Assert.Contains(Path.GetRelativePath(Repository.Root, project).Replace('\\', '/'), copied);
        Assert.Contains("\nUSER $APP_UID\n", Dockerfile, StringComparison.Ordinal);
    }

    [Fact]
    public void The_example_of_an_environment_file_lists_every_key_once_and_nothing_else()
    {
        var listed = ExampleKey().Matches(Example).Select(m => m.Groups[1].Value).ToArray();
        var interpolated = Interpolated().Matches(Text("docker-compose.yml")).Select(m => m.Groups[1].Value);
        Assert.Equal(Settled.Concat(interpolated).Distinct().Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
        // A default in the example must be one that the setting takes.
        foreach (var setting in Settings.All.Where(s => !s.Secret && !s.IsList))
            if (Regex.Match(Example, $"^#?{setting.Variable}=(.+)$", RegexOptions.Multiline) is { Success: true } match)
                Assert.Null(setting.Fault(match.Groups[1].Value));
    }

    [Fact]
    public void The_workflow_runs_what_exists()
    {
        var workflow = Yaml.File(Repository.At(".github", "workflows", "ci.yml"));
        var steps = workflow["jobs"].Entries.SelectMany(j => j.Value["steps"].Items).ToArray();
        Assert.Equal(["./dev check"], steps.Select(s => s["run"].Text).Where(t => t.Length > 0));
        var file = Assert.Single(steps.Select(s => s["with"]["global-json-file"].Text), t => t.Length > 0);
        Assert.True(File.Exists(Repository.At(file)), file);
        Assert.Contains("./dev check", Text(".ci", "run"), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_verb_of_the_dev_script_that_anything_mentions_exists_and_is_in_its_help()
    {
        var script = Text("dev");
        var help = HelpVerb().Matches(script).Select(m => m.Groups[1].Value).ToArray();
        Assert.Equal(["run", "test", "check", "bench", "build", "format", "contracts", "psql", "nubabel"], help);
        string[] files = [.. Sources.OfKind(".md").Select(f => f.Text), .. Directory.EnumerateFiles(Repository.At("scripts")).Select(File.ReadAllText), Text(".ci", "run"), script];
        Assert.All(files.SelectMany(f => Used(f, DevVerb())), v => Assert.Contains(v, help));
    }

    [Fact]
    public void Every_script_is_executable_or_sourced_and_parses()
    {
        foreach (var file in (string[])["dev", ".ci/run", .. Directory.EnumerateFiles(Repository.At("scripts")).Select(f => "scripts/" + Path.GetFileName(f))])
        {
            using var bash = Process.Start(new ProcessStartInfo("bash", ["-n", Repository.At(file)]) { RedirectStandardError = true })!;
            var faults = bash.StandardError.ReadToEnd();
            bash.WaitForExit();
            Assert.True(bash.ExitCode == 0, faults);
            if (file.StartsWith("scripts/", StringComparison.Ordinal))
                Assert.Contains($". \"$root/{file}\"", Text("dev"), StringComparison.Ordinal);
            else if (!OperatingSystem.IsWindows())
                Assert.True(File.GetUnixFileMode(Repository.At(file)).HasFlag(UnixFileMode.UserExecute), file);
        }
    }

    [Fact]
    [Trait("Category", "Contract")]
    public void The_configuration_table_in_the_documents_is_the_one_of_the_code()
    {
        const string start = "<!-- configuration: written by ./dev contracts -->\n", end = "<!-- /configuration -->\n";
        var from = Operations.IndexOf(start, StringComparison.Ordinal) + start.Length;
        var to = Operations.IndexOf(end, StringComparison.Ordinal);
        Assert.True(from > start.Length && to >= from, "docs/operations.md lost the marks around its configuration table.");
        var table = "\n" + Settings.Markdown() + "\n";
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1")
            File.WriteAllText(Repository.At("docs", "operations.md"), Operations[..from] + table + Operations[to..]);
        else
            Assert.Equal(table, Operations[from..to]);
    }

    private static string Text(params string[] path) => File.ReadAllText(Repository.At(path));

    /// <summary>Where in the container → what.</summary>
    private static Dictionary<string, string> Mounts(string service) =>
        Services[service]["volumes"].Texts.Select(v => v.Split(':')).ToDictionary(v => v[1], v => v[0]);

    private static string DefaultOf(string port) => Interpolated().Match(port).Groups[2].Value;

    private static IEnumerable<string> Used(string text, Regex regex) => regex.Matches(text).Select(m => m.Groups[1].Value).Distinct();

    [GeneratedRegex(@"\$\{(\w+)(?::-([^}]*))?")] private static partial Regex Interpolated();
    [GeneratedRegex(@"""\$(\w+)""")] private static partial Regex PasswordVariable();
    [GeneratedRegex(@"(?<=^ENV .*)\b([A-Z_]+)=", RegexOptions.Multiline)] private static partial Regex ImageVariable();
    [GeneratedRegex(@"^(?:CMD|HEALTHCHECK .* CMD) \[(?:""dotnet"", ""nubabel.dll"", )?""(\w+)""\]$", RegexOptions.Multiline)] private static partial Regex ImageVerb();
    [GeneratedRegex(@"^COPY (?!--from)(.+)$", RegexOptions.Multiline)] private static partial Regex CopiedFile();
    [GeneratedRegex(@"^#?([\w<>]+)=", RegexOptions.Multiline)] private static partial Regex ExampleKey();
    [GeneratedRegex(@"^\./dev (\w+) ", RegexOptions.Multiline)] private static partial Regex HelpVerb();
    [GeneratedRegex(@"(?:`|^ *)\./dev ([a-z]+)\b", RegexOptions.Multiline)] private static partial Regex DevVerb();
    [GeneratedRegex(@"(?:`nubabel|nubabel\.dll|\./dev nubabel) ([a-z][a-z-]*)\b")] private static partial Regex CommandLineVerb();
}
