using System.CommandLine;
using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>The operator command line: what can be done without, or before, a running server.</summary>
public static class Verbs
{
    /// <summary>sysexits.h EX_CONFIG: the configuration stops the start.</summary>
    public const int BadConfiguration = 78;

    public static RootCommand All()
    {
        var root = new RootCommand("Nubabel: tenants, sessions, devices and their audit trail as events over one PostgreSQL.")
        {
            Config(), Migrate(), OperatorVerbs.All(), EventVerbs.All(), ClaimVerbs.All(), AuditVerbs.All(), Keys(), MasterKeyVerbs.All(), SubjectKeyVerbs.All(), ErasureVerbs.All(), ProjectionVerbs.All(),
            LetterVerbs.All(), NodeVerbs.All(), HealthVerb(),
        };
        var serve = new Command("serve", "Serve the API (what happens without a verb, too).");
        serve.SetAction((_, ct) => Guarded(() => Server.Run(ct)));
        root.Add(serve);
        root.SetAction((_, ct) => Guarded(() => Server.Run(ct)));
        return root;
    }

    private static Command Config()
    {
        var verb = new Command("config", "Print every configuration key, its type, default and value; of secrets only whether they are set.");
        verb.SetAction(_ =>
        {
            var configuration = Configured.Build(out var environment);
            Console.Write(Settings.Table(configuration));
            var (_, errors) = Settings.Read(configuration, environment);
            foreach (var error in errors) Console.Error.WriteLine(error);
            return errors.Count == 0 ? 0 : BadConfiguration;
        });
        return verb;
    }

    private static Command Migrate()
    {
        var dry = new Option<bool>("--status") { Description = "Only show what is applied and what is pending." };
        var verb = new Command("migrate", "Bring the schema to what this build needs; safe to repeat.") { dry };
        verb.SetAction((parsed, ct) => Guarded(async () =>
        {
            var settings = Configured.Settings(Settings.OwnerConnection, Settings.ApiConnection, Settings.DaemonConnection);
            await using var owner = NpgsqlDataSource.Create(settings.Owner!);
            var status = parsed.GetValue(dry) ? await Migrations.Status(owner, ct) : await Schema.Migrate(owner, Configured.Login(settings.Api!), Configured.Login(settings.DaemonLogin!), ct);
            foreach (var step in status)
                Console.WriteLine($"{step.Number:0000}_{step.Name,-20} {step.State,-8} {step.Applied:yyyy-MM-dd HH:mm:ss}".TrimEnd());
            return status.Any(s => s.State is "drifted" or "unknown") ? 1 : 0;
        }));
        return verb;
    }

    private static Command Keys()
    {
        var after = new Option<int>("--after") { Description = "Seconds from now until the new key signs; it is published at once.", DefaultValueFactory = _ => 300 };
        var rotate = new Command("rotate", "Add a signing key; the one before signs until then and verifies until its last token has run out.") { after };
        rotate.SetAction((parsed, ct) => Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            using var keys = new SigningKeys(node.Node.Database, node.Node.Masters, TimeProvider.System);
            var (kid, activates) = await keys.Rotate(TimeSpan.FromSeconds(Math.Clamp(parsed.GetValue(after), 0, 86_400)), ct);
            Console.WriteLine($"Key {kid} signs from {activates:yyyy-MM-dd HH:mm:ss} UTC on.");
            return 0;
        }));
        return new Command("keys", "The keys that sign access tokens.") { rotate };
    }

    private static Command HealthVerb()
    {
        var url = new Option<string>("--url") { Description = "Where the server listens.", DefaultValueFactory = _ => Configured.FirstAddress() };
        var verb = new Command("health", "Ask a running server whether it lives; for container health checks.") { url };
        verb.SetAction((parsed, ct) => Guarded(async () =>
        {
            if (!Uri.TryCreate(parsed.GetValue(url), UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")) return Fail("This is not an http address.");
            using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(3) };
            try
            {
                using var answer = await http.GetAsync(new Uri(address, "/health/live"), ct);
                return answer.IsSuccessStatusCode ? 0 : 1;
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                return Fail($"Nobody answers at {address}.");
            }
        }));
        return verb;
    }

    /// <summary>Faults that the operator can mend are said in a line; only our own show a stack.</summary>
    internal static async Task<int> Guarded(Func<Task<int>> verb)
    {
        try
        {
            return await verb();
        }
        catch (BadSettings bad)
        {
            foreach (var line in bad.Lines) Console.Error.WriteLine(line);
            return BadConfiguration;
        }
        catch (IOException e) when (e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException)
        {
            return Fail($"The address is in use; ASPNETCORE_URLS names another. {e.Message}");
        }
        catch (Exception e) when (e is SchemaDrift or BadEventFile or ImportRefused or ReplayRefused or LoginRefused or StampMismatch or MasterKeyRefused or KeysMissing or BadKeyFile or LedgerFault
            or RebuildRefused or ReadTableDiffers or NpgsqlException)
        {
            return Fail(e is PostgresException p ? $"PostgreSQL refused: {p.MessageText}" : e.Message);
        }
    }

    internal static int Fail(string line)
    {
        Console.Error.WriteLine(line);
        return 1;
    }
}
