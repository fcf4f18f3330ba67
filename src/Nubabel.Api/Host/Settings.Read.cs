using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Hosting;

namespace Nubabel.Api.Host;

public sealed partial record Settings
{
    private const int MasterKeyBytes = 32;
    private static Setting[] Connections => [ApiConnection, DaemonConnection, OwnerConnection, DatabaseUrl, DirectUrl];

    /// <summary>
    /// Reads a configuration. When anything is wrong there are no settings but one line per fault, none of which shows a value.
    /// </summary>
    /// <param name="needed">Connection strings that the verb at hand cannot do without.</param>
    public static (Settings? Settings, IReadOnlyList<string> Errors) Read(IConfiguration configuration, string environment, params IReadOnlyList<Setting> needed)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(needed);
        var errors = new List<string>(UnknownKeys(configuration));
        foreach (var setting in All)
            if (setting.In(configuration).Select(setting.Fault).FirstOrDefault(fault => fault is not null) is { } fault)
                errors.Add($"{setting.Variable} must be {fault}.");
        if (errors.Count > 0) return (null, errors);

        var settings = Parse(new Values(configuration), environment, errors);
        if (!settings.IsDevelopment) errors.AddRange(ProductionFaults(settings, configuration));
        errors.AddRange(needed.Where(n => settings.ConnectionOf(n) is null).Select(n => $"{n.Variable} is required."));
        return errors.Count == 0 ? (settings, []) : (null, errors);
    }

    private string? ConnectionOf(Setting setting) =>
        setting == ApiConnection ? Api : setting == DaemonConnection ? DaemonLogin : setting == OwnerConnection ? Owner : throw new ArgumentException(setting.Name);

    private static Settings Parse(Values values, string environment, List<string> errors)
    {
        var development = environment == Environments.Development;
        var addresses = (values.Text(Urls) ?? "http://127.0.0.1:5080").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var issuer = values.Text(TokensIssuer) ?? (development ? addresses.FirstOrDefault() : null) ?? "";
        return new Settings
        {
            EnvironmentStamp = values.Text(EnvironmentName) ?? environment.ToLowerInvariant(),
            IsDevelopment = development,
            Api = values.Connection(ApiConnection) ?? values.Connection(DatabaseUrl),
            DaemonLogin = values.Connection(DaemonConnection),
            Owner = values.Connection(OwnerConnection) ?? values.Connection(DirectUrl),
            MasterKey = MasterKeyOf(values, KeysMaster, KeysMasterFile, errors),
            PreviousMasterKey = MasterKeyOf(values, KeysPrevious, KeysPreviousFile, errors),
            DataDirectory = Path.GetFullPath(values.Text(Data) ?? ".data"),
            ErasureLedger = Path.GetFullPath(values.Text(ErasuresLedger) ?? Path.Combine(values.Text(Data) ?? ".data", "erasures")),
            Addresses = addresses,
            Shard = values.Text(ShardName) ?? "main",
            CorsOrigins = CorsAllowed.In(values.Configuration),
            SignupMode = (values.Text(Signup) ?? (development ? "open" : "closed")) == "open" ? SignupMode.Open : SignupMode.Closed,
            Issuer = issuer,
            Audience = values.Text(TokensAudience) ?? TokensAudience.Default,
            AccessLife = TimeSpan.FromSeconds(values.Number(TokensAccess)),
            RefreshLife = TimeSpan.FromDays(values.Number(TokensRefresh)),
            SessionLife = TimeSpan.FromDays(values.Number(TokensSession)),
            ClosureGrace = TimeSpan.FromDays(values.Number(OrganizationsGrace)),
            Limits = LimitsOf(values),
            TrustedNetworks = [.. TrustedProxies.In(values.Configuration).Select(IPNetwork.Parse)],
            RememberedBytes = (long)values.Number(Remembered) << 20,
            DaemonEnabled = values.Text(Daemon) != "false",
            DeadLetterLife = TimeSpan.FromDays(values.Number(DeadLetterDays)),
            StalledAfter = TimeSpan.FromSeconds(values.Number(StalledSeconds)),
            AllowLoopback = values.Text(ConsumersLoopback) == "true",
            Mail = MailOf(values, issuer, errors),
            Providers = ProvidersOf(values.Configuration, errors),
        };
    }

    private static Limits LimitsOf(Values values) => new()
    {
        BodyBytes = values.Number(BodyBytes),
        JsonDepth = values.Number(JsonDepth),
        ArrayItems = values.Number(ArrayItems),
        UrlBytes = values.Number(UrlBytes),
        HeaderBytes = values.Number(HeaderBytes),
        RequestSeconds = values.Number(RequestSeconds),
        FailedSignIns = values.Number(FailedSignIns),
        SignInWindowSeconds = values.Number(SignInWindow),
        User = new(values.Number(UserRate), values.Number(UserBurst)),
        Organization = new(values.Number(OrganizationRate), values.Number(OrganizationBurst)),
        Address = new(values.Number(AddressRate), values.Number(AddressBurst)),
        WrongCredentials = new(values.Number(WrongRate), Math.Max(1, values.Number(WrongRate))),
        Webhooks = new(values.Number(WebhookRate), values.Number(WebhookBurst)),
    };

    private static ImmutableArray<byte>? MasterKeyOf(Values values, Setting direct, Setting inFile, List<string> errors)
    {
        var text = values.Text(direct);
        if (values.Text(inFile) is { } file)
        {
            if (text is not null) errors.Add($"{direct.Variable} and {inFile.Variable} exclude each other.");
            text = File.Exists(file) ? File.ReadAllText(file).Trim() : "";
            if (direct.Fault(text) is { } fault) errors.Add($"{inFile.Variable} must name a readable file that holds {fault}.");
        }
        var key = new byte[MasterKeyBytes];
        return text is not null && Convert.TryFromBase64String(text, key, out _) ? [.. key] : null;
    }

    /// <summary>What is convenient in Development and dangerous anywhere else.</summary>
    private static IEnumerable<string> ProductionFaults(Settings settings, IConfiguration configuration)
    {
        if (settings.MasterKey is null) yield return $"{KeysMaster.Variable} or {KeysMasterFile.Variable} is required outside Development.";
        if (ErasuresLedger.In(configuration).Count == 0) yield return $"{ErasuresLedger.Variable} is required outside Development: a directory that all nodes share, apart from the database.";
        if (settings.Issuer.Length == 0) yield return $"{TokensIssuer.Variable} is required outside Development.";
        if (settings.AllowLoopback) yield return $"{ConsumersLoopback.Variable} is for Development only.";
        foreach (var setting in Connections)
            if (setting.In(configuration) is [var text] && ConnectionText.TryParse(text, out var connection)
                && connection.SslMode != Npgsql.SslMode.VerifyFull && !ConnectionText.StaysHere(connection))
                yield return $"{setting.Variable} must say SSL Mode=VerifyFull outside Development, unless PostgreSQL is on this machine.";
    }

    /// <summary>Keys in our sections that nobody reads. Other sections and variables belong to others.</summary>
    private static IEnumerable<string> UnknownKeys(IConfiguration configuration)
    {
        var known = All.Select(s => s.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var lists = All.Where(s => s.IsList).Select(s => s.Name + ":").ToArray();
        var sections = known.Where(n => n.Contains(':', StringComparison.Ordinal)).Select(n => n[..(n.IndexOf(':', StringComparison.Ordinal) + 1)])
            .Append("Nubabel:").Distinct(StringComparer.OrdinalIgnoreCase).ToArray();
        return from pair in configuration.AsEnumerable()
               let name = pair.Key
               where pair.Value is not null && !known.Contains(name) && !lists.Any(l => name.StartsWith(l, StringComparison.OrdinalIgnoreCase))
               where sections.Any(s => IsOwned(name, s)) || (name.StartsWith("NUBABEL_", StringComparison.OrdinalIgnoreCase) && !name.StartsWith("NUBABEL_TEST", StringComparison.OrdinalIgnoreCase) && !name.StartsWith("NUBABEL_WRITE", StringComparison.OrdinalIgnoreCase))
               orderby name
               select $"{name.Replace(":", "__", StringComparison.Ordinal)} is no setting of Nubabel.";
    }

    // Connection strings of other programs may stand beside ours.
    private static bool IsOwned(string name, string section) =>
        name.StartsWith(section, StringComparison.OrdinalIgnoreCase)
        && (section != "ConnectionStrings:" || name.StartsWith("ConnectionStrings:Nubabel", StringComparison.OrdinalIgnoreCase));

    /// <summary>The table that <c>nubabel config</c> prints: name, type, default, value; of a secret only whether it is set.</summary>
    public static string Table(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var rows = All.Select(s => new[] { s.Variable, s.Type, s.Default, Shown(s, s.In(configuration)), s.Description })
            .Prepend(["name", "type", "default", "value", "what for"]).ToArray();
        var widths = Enumerable.Range(0, 4).Select(i => rows.Max(r => r[i].Length)).ToArray();
        return string.Concat(rows.Select(r => string.Join("  ", r.Select((cell, i) => i < widths.Length ? cell.PadRight(widths[i]) : cell)).TrimEnd() + "\n"));
    }

    /// <summary>The same table for <c>docs/operations.md</c>, without values.</summary>
    public static string Markdown() =>
        "| name | type | default | secret | what for |\n|---|---|---|---|---|\n"
        + string.Concat(All.Select(s => $"| `{s.Variable}` | {s.Type.Replace("|", "\\|", StringComparison.Ordinal)} | {s.Default} | {(s.Secret ? "yes" : "no")} | {s.Description} |\n"));

    private static string Shown(Setting setting, IReadOnlyList<string> values) =>
        values.Count == 0 ? "(default)" : setting.Secret ? "(secret, set)" : string.Join(",", values);

    /// <summary>Texts of a configuration that are known to be valid, as values.</summary>
    private sealed class Values(IConfiguration configuration)
    {
        public IConfiguration Configuration => configuration;
        public string? Text(Setting setting) => setting.In(configuration) is [var text] ? text : null;
        public int Number(Setting setting) => int.Parse(Text(setting) ?? setting.Default, CultureInfo.InvariantCulture);
        public string? Connection(Setting setting) => Text(setting) is { } text && ConnectionText.TryParse(text, out var connection) ? connection.ConnectionString : null;
    }
}
