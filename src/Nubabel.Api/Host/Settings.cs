using System.Collections.Immutable;
using System.Net;
using Nubabel.Api.Host.Mail;
using static Nubabel.Api.Host.Setting;

namespace Nubabel.Api.Host;

/// <summary>Whether people may make organizations themselves.</summary>
public enum SignupMode
{
    Open,
    Closed,
}

/// <summary>The configuration, read once at the start and never again. <see cref="All"/> is the table that operators see.</summary>
public sealed partial record Settings
{
    public static readonly Setting ApiConnection = Connection("ConnectionStrings:Nubabel", "The API's login: neither owner nor superuser, no BYPASSRLS. `DATABASE_URL` is an alias.");
    public static readonly Setting DaemonConnection = Connection("ConnectionStrings:NubabelDaemon", "The daemon's login: BYPASSRLS and pg_read_all_stats; projections, messages, operators.");
    public static readonly Setting OwnerConnection = Connection("ConnectionStrings:NubabelOwner", "The owner's login, for migrations only; direct, not through a pooler. `DIRECT_URL` is an alias.");
    private static readonly Setting DatabaseUrl = Connection("DATABASE_URL", "Alias of `ConnectionStrings:Nubabel`.");
    private static readonly Setting DirectUrl = Connection("DIRECT_URL", "Alias of `ConnectionStrings:NubabelOwner`.");
    private static readonly Setting KeysMaster = Key("Keys:Master", "(made in NUBABEL_DATA in Development)", "Wraps all other keys; the same on every node, never in the database. Required outside Development.");
    private static readonly Setting KeysMasterFile = Text("Keys:MasterFile", "(none)", "A file that holds `Keys:Master`, for mounted secrets.");
    private static readonly Setting KeysPrevious = Key("Keys:MasterPrevious", "(none)", "The master key before it, while keys are re-wrapped (`nubabel master-key rotate`).");
    private static readonly Setting KeysPreviousFile = Text("Keys:MasterPreviousFile", "(none)", "A file that holds `Keys:MasterPrevious`.");
    private static readonly Setting Data = Text("NUBABEL_DATA", ".data", "Directory of files made at run time.");
    private static readonly Setting Urls = Matching("ASPNETCORE_URLS", "addresses, separated by semicolons", "http://127.0.0.1:5080", "Where to listen.", IsAddresses) with { Alias = "URLS" };
    private static readonly Setting EnvironmentName = Matching("Environment:Name", "1–40 of a–z, 0–9, -", "the environment, lower case", "Stamped into the database; a database of another environment is refused.", IsName);
    private static readonly Setting ShardName = Matching("Shard:Name", "1–40 of a–z, 0–9, -", "main", "The name of this database among the shards, as positions show it.", IsName);
    private static readonly Setting CorsAllowed = Origins("Cors:Origins", "Web origins that may call, separated by commas.");
    private static readonly Setting Signup = Choice("Signup:Mode", ["open", "closed"], "open in Development, else closed", "Whether people may make organizations themselves.");
    private static readonly Setting TokensIssuer = Matching("Tokens:Issuer", "absolute URL", "first address in Development", "`iss` of access tokens; the same on every node. Required outside Development.", IsUrl);
    private static readonly Setting TokensAudience = Text("Tokens:Audience", "nubabel", "`aud` of access tokens.");
    private static readonly Setting TokensAccess = Number("Tokens:AccessSeconds", 30, 900, 900, "Life of an access token in seconds.");
    private static readonly Setting TokensRefresh = Number("Tokens:RefreshDays", 1, 365, 30, "Life of an unused refresh token in days.");
    private static readonly Setting TokensSession = Number("Tokens:SessionDays", 1, 365, 90, "Life of a session in days, however often it is refreshed.");
    private static readonly Setting OrganizationsGrace = Number("Organizations:ClosureGraceDays", 1, 365, 30, "Days from an owner's wish to close the organization until it is closed.");
    private static readonly Setting BodyBytes = Number("Limits:BodyBytes", 1024, 64 * 1024 * 1024, 1024 * 1024, "Largest body in bytes (413).");
    private static readonly Setting JsonDepth = Number("Limits:JsonDepth", 1, Limits.MostJsonDepth, Limits.MostJsonDepth, "Deepest nesting of a body (400).");
    private static readonly Setting ArrayItems = Number("Limits:ArrayItems", 1, 100_000, 1000, "Most items of an array in a body (422).");
    private static readonly Setting UrlBytes = Number("Limits:UrlBytes", 256, 64 * 1024, 8 * 1024, "Longest path and query in bytes (414).");
    private static readonly Setting HeaderBytes = Number("Limits:HeaderBytes", 1024, 256 * 1024, 16 * 1024, "Largest headers in bytes, all together (431).");
    private static readonly Setting RequestSeconds = Number("Limits:RequestSeconds", 1, 600, 30, "Longest request in seconds, streams apart (504).");
    private static readonly Setting FailedSignIns = Number("Limits:FailedSignIns", 3, 1000, 10, "Failed sign-ins per organization and e-mail address within the window, after which it is locked (429).");
    private static readonly Setting SignInWindow = Number("Limits:SignInWindowSeconds", 10, 3600, 900, "How long a failed sign-in counts, and how long the lock lasts, in seconds.");
    private static readonly Setting UserRate = Rate("Limits:UserRequestsPerMinute", 1200, "Requests per minute of each user, operator and API key; 0: no limit.");
    private static readonly Setting UserBurst = Number("Limits:UserBurst", 1, 1_000_000, 300, "How many of them may come at once.");
    private static readonly Setting OrganizationRate = Rate("Limits:OrganizationRequestsPerMinute", 6000, "Requests per minute of an organization's users and keys together; 0: no limit.");
    private static readonly Setting OrganizationBurst = Number("Limits:OrganizationBurst", 1, 1_000_000, 1500, "How many of them may come at once.");
    private static readonly Setting AddressRate = Rate("Limits:AddressRequestsPerMinute", 300, "Requests per minute without a credential from one address (of IPv6, from one /64); 0: no limit.");
    private static readonly Setting AddressBurst = Number("Limits:AddressBurst", 1, 1_000_000, 300, "How many of them may come at once.");
    private static readonly Setting WrongRate = Rate("Limits:WrongCredentialsPerMinute", 300, "Wrong credentials per minute from one address that are answered with 401, then with 429; 0: no limit.");
    private static readonly Setting WebhookRate = Rate("Limits:WebhookRequestsPerMinute", 1200, "Webhooks per minute of each source, and of each provider of the platform; 0: no limit.");
    private static readonly Setting WebhookBurst = Number("Limits:WebhookBurst", 1, 1_000_000, 300, "How many of them may come at once.");
    private static readonly Setting WebhookSecrets = Family("WEBHOOK_SECRET_<PROVIDER>", "The secret of a provider whose webhooks the platform takes at `/api/webhooks/<provider>`; hyphens of its name are underscores.", secret: true);
    private static readonly Setting WebhookPrevious = Family("WEBHOOK_SECRET_PREVIOUS_<PROVIDER>", "The secret before it, while both count.", secret: true);
    private static readonly Setting WebhookPresets = Family("WEBHOOK_PRESET_<PROVIDER>", "How it signs: `default`, `standard`, `github`, `stripe` or `slack`; where it is not said, what its name stands for, or `default`.",
        choices: [.. Enum.GetNames<Domain.Webhooks.WebhookPreset>().Select(n => n.ToLowerInvariant())]);
    private static readonly Setting TrustedProxies = Networks("Proxy:TrustedNetworks", "Networks of proxies whose `X-Forwarded-For` and `-Proto` are believed, separated by commas.");
    private static readonly Setting MailHost = Text("Mail:Host", "(none)", "The mail server. Without one Development writes mail to files under `NUBABEL_DATA`, and elsewhere none is sent.");
    private static readonly Setting MailPort = Number("Mail:Port", 1, 65_535, 587, "Its port; with `tls` usually 465.");
    private static readonly Setting MailUser = Text("Mail:User", "(none)", "Who signs in to it; without one nobody does.");
    private static readonly Setting MailPassword = Text("Mail:Password", "(none)", "The password of `Mail:User`.", secret: true);
    private static readonly Setting MailFrom = Matching("Mail:From", "address, or name <address>", "Nubabel <no-reply@nubabel.localhost>", "The sender. Required where `Mail:Host` is set.", text => Mailbox.Parse(text) is not null);
    private static readonly Setting MailProtection = Choice("Mail:Security", ["none", "starttls", "tls"], "starttls", "How the connection to it is protected; `none` takes no password except on this machine.");
    private static readonly Setting MailLinkBase = Matching("Mail:LinkBase", "absolute URL", "`Tokens:Issuer`", "The product's pages, to which links in mails lead.", IsUrl);
    private static readonly Setting Remembered = Number("Limits:RememberedMegabytes", 0, 65_536, 64, "Memory for the states of streams used lately, in MiB; 0: none is remembered.");
    private static readonly Setting DeadLetterDays = Number("Messages:DeadLetterDays", 1, 3650, 90, "Days after which a dead letter is deleted, whatever has become of it.");
    private static readonly Setting StalledSeconds = Number("Messages:StalledSeconds", 10, 86_400, 300, "How long work may be ready in a queue without being taken, in seconds; then health is degraded and the log says so.");
    private static readonly Setting ConsumersLoopback = Choice("Consumers:AllowLoopback", ["true", "false"], "false", "Whether events are delivered to this machine too, also by http and on any port. In Development only.");
    private static readonly Setting ErasuresLedger = Text("Erasures:Ledger", "`erasures` under `NUBABEL_DATA` in Development", "Directory of the ledger of erasures, shared by all nodes and apart from the database and its backups. Required outside Development.");
    private static readonly Setting Daemon = Choice("Daemon:Enabled", ["true", "false"], "true", "Whether this node runs projections and messages.");

    /// <summary>Every key that Nubabel reads. Whatever else stands in its sections is a typing error and stops the start.</summary>
    public static IReadOnlyList<Setting> All { get; } =
    [
        ApiConnection, DaemonConnection, OwnerConnection, DatabaseUrl, DirectUrl, KeysMaster, KeysMasterFile, KeysPrevious, KeysPreviousFile, Data, Urls, EnvironmentName, ShardName, CorsAllowed, Signup,
        TokensIssuer, TokensAudience, TokensAccess, TokensRefresh, TokensSession, OrganizationsGrace, BodyBytes, JsonDepth, ArrayItems, UrlBytes, HeaderBytes, RequestSeconds, FailedSignIns, SignInWindow,
        UserRate, UserBurst, OrganizationRate, OrganizationBurst, AddressRate, AddressBurst, WrongRate, TrustedProxies, Remembered, Daemon,
        DeadLetterDays, StalledSeconds,
        MailHost, MailPort, MailUser, MailPassword, MailFrom, MailProtection, MailLinkBase, ConsumersLoopback,
        ErasuresLedger, WebhookRate, WebhookBurst, WebhookSecrets, WebhookPrevious, WebhookPresets,
    ];

    public required string EnvironmentStamp { get; init; }
    public required bool IsDevelopment { get; init; }

    /// <summary>In Npgsql's own form, whichever form was given; null where none was.</summary>
    public string? Api { get; init; }
    public string? DaemonLogin { get; init; }
    public string? Owner { get; init; }

    /// <summary>32 bytes; null only in Development, where the start makes one under <see cref="DataDirectory"/>.</summary>
    public ImmutableArray<byte>? MasterKey { get; init; }

    /// <summary>32 bytes: what wraps keys that are not re-wrapped yet.</summary>
    public ImmutableArray<byte>? PreviousMasterKey { get; init; }
    public required string DataDirectory { get; init; }
    public IReadOnlyList<string> Addresses { get; init; } = [];
    public string Shard { get; init; } = "main";
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];
    public SignupMode SignupMode { get; init; }
    public required string Issuer { get; init; }
    public string Audience { get; init; } = "nubabel";
    public TimeSpan AccessLife { get; init; }
    public TimeSpan RefreshLife { get; init; }
    public TimeSpan SessionLife { get; init; }
    public TimeSpan ClosureGrace { get; init; }
    public Limits Limits { get; init; } = new();
    public IReadOnlyList<IPNetwork> TrustedNetworks { get; init; } = [];

    /// <summary>How many bytes the streams may take that this node remembers.</summary>
    public long RememberedBytes { get; init; } = Store.RememberedStreams.MostBytes;
    public bool DaemonEnabled { get; init; } = true;
    public TimeSpan DeadLetterLife { get; init; } = TimeSpan.FromDays(90);
    public TimeSpan StalledAfter { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The directory of the ledger of erasures.</summary>
    public required string ErasureLedger { get; init; }

    /// <summary>Consumers may live on this machine.</summary>
    public bool AllowLoopback { get; init; }

    // A record prints all its members; this one holds passwords and the master key.
    public override string ToString() => $"Settings of {EnvironmentStamp}";

    private static bool IsName(string text) => text.Length is >= 1 and <= 40 && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    private static bool IsAddresses(string text)
    {
        try
        {
            return text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(BindingAddress.Parse).ToArray().Length > 0;
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static bool IsUrl(string text) => Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";
}
