using Microsoft.Extensions.Configuration;
using Npgsql;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

public sealed class SettingsTests
{
    private const string MasterKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    private static (Settings? Settings, IReadOnlyList<string> Errors) Read(string environment, params (string, string)[] pairs) => Settings.Read(Configuration(pairs), environment);

    private static IConfiguration Configuration(params (string, string)[] pairs) =>
        new ConfigurationBuilder().AddInMemoryCollection(pairs.Select(p => KeyValuePair.Create<string, string?>(p.Item1, p.Item2))).Build();

    [Fact]
    public void Development_needs_nothing()
    {
        var (settings, errors) = Read("Development");
        Assert.Empty(errors);
        Assert.Equal("http://127.0.0.1:5080", settings!.Issuer);
        Assert.Equal(SignupMode.Open, settings.SignupMode);
        Assert.Equal(TimeSpan.FromSeconds(900), settings.AccessLife);
        Assert.Equal("development", settings.EnvironmentStamp);
        Assert.Equal(new Limits(), settings.Limits);
        Assert.Null(settings.MasterKey);
    }

    [Fact]
    public void Production_needs_its_key_its_ledger_and_issuer()
    {
        var (settings, errors) = Read("Production");
        Assert.Null(settings);
        Assert.Equal(["Keys__Master or Keys__MasterFile is required outside Development.", "Erasures__Ledger is required outside Development: a directory that all nodes share, apart from the database.", "Tokens__Issuer is required outside Development."], errors);
    }

    [Fact]
    public void Sign_up_is_closed_in_production_unless_opened()
    {
        Assert.Equal(SignupMode.Closed, Read("Production", ("Keys:Master", MasterKey), ("Erasures:Ledger", "/var/lib/ledger"), ("Tokens:Issuer", "https://id.example.com")).Settings!.SignupMode);
        Assert.Equal(SignupMode.Open, Read("Production", ("Keys:Master", MasterKey), ("Erasures:Ledger", "/var/lib/ledger"), ("Tokens:Issuer", "https://id.example.com"), ("Signup:Mode", "open")).Settings!.SignupMode);
    }

    [Theory]
    [InlineData("Host=db.example.com;Username=u;Password=hidden", true)]
    [InlineData("Host=db.example.com;Username=u;Password=hidden;SSL Mode=Require", true)]
    [InlineData("Host=db.example.com;Username=u;Password=hidden;SSL Mode=VerifyFull", false)]
    [InlineData("Host=/var/run/postgresql;Username=u", false)]
    [InlineData("Host=127.0.0.1;Username=u", false)]
    [InlineData("Host=localhost,db.example.com;Username=u", true)]
    [InlineData("postgres://u:hidden@db.example.com/nubabel?sslmode=verify-full", false)]
    [InlineData("postgres://u:hidden@db.example.com/nubabel", true)]
    public void Production_needs_verified_tls_to_another_machine(string connection, bool refused)
    {
        var (_, errors) = Read("Production", ("Keys:Master", MasterKey), ("Erasures:Ledger", "/var/lib/ledger"), ("Tokens:Issuer", "https://id.example.com"), ("ConnectionStrings:Nubabel", connection));
        Assert.Equal(refused, errors.Count == 1);
        Assert.All(errors, e => Assert.StartsWith("ConnectionStrings__Nubabel must say SSL Mode=VerifyFull", e, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Cors:Origin", "Cors__Origin is no setting of Nubabel.")]
    [InlineData("Limits:BodyBite", "Limits__BodyBite is no setting of Nubabel.")]
    [InlineData("ConnectionStrings:NubabelDeamon", "ConnectionStrings__NubabelDeamon is no setting of Nubabel.")]
    [InlineData("NUBABEL_DATTA", "NUBABEL_DATTA is no setting of Nubabel.")]
    [InlineData("Tokens:Access:Seconds", "Tokens__Access__Seconds is no setting of Nubabel.")]
    public void A_key_of_ours_that_nobody_reads_stops_the_start(string key, string error) => Assert.Equal([error], Read("Development", (key, "1")).Errors);

    [Theory]
    [InlineData("ConnectionStrings:Legacy")]
    [InlineData("PATH")]
    [InlineData("Logging:LogLevel:Default")]
    [InlineData("OTEL_SERVICE_NAME")]
    [InlineData("MAIL")]
    public void A_key_of_others_does_not(string key) => Assert.Empty(Read("Development", (key, "1")).Errors);

    [Theory]
    [InlineData("Limits:BodyBytes", "1MB", "Limits__BodyBytes must be a whole number from 1024 to 67108864.")]
    [InlineData("Limits:BodyBytes", "-1", "Limits__BodyBytes must be a whole number from 1024 to 67108864.")]
    [InlineData("Tokens:AccessSeconds", "901", "Tokens__AccessSeconds must be a whole number from 30 to 900.")]
    [InlineData("Signup:Mode", "Open", "Signup__Mode must be one of open, closed.")]
    [InlineData("Keys:Master", "c2hvcnQ=", "Keys__Master must be 32 bytes in base64.")]
    [InlineData("Cors:Origins", "https://a.example/x", "Cors__Origins must be origins like https://app.example.com, without a path.")]
    [InlineData("Cors:Origins:0", "*", "Cors__Origins must be origins like https://app.example.com, without a path.")]
    [InlineData("Proxy:TrustedNetworks", "10.0.0.0/33", "Proxy__TrustedNetworks must be networks like 10.0.0.0/8.")]
    [InlineData("DATABASE_URL", "postgres://u:hidden@/x?nonsense=1", "DATABASE_URL must be a connection string of Npgsql or a postgres:// URL.")]
    [InlineData("ConnectionStrings:Nubabel", "Password=hidden;Nonsense=1", "ConnectionStrings__Nubabel must be a connection string of Npgsql or a postgres:// URL.")]
    [InlineData("Shard:Name", "Main Shard", "Shard__Name must be 1–40 of a–z, 0–9, -.")]
    [InlineData("Tokens:Issuer", "me", "Tokens__Issuer must be absolute URL.")]
    public void A_bad_value_is_one_line_that_does_not_repeat_it(string key, string value, string error) => Assert.Equal([error], Read("Development", (key, value)).Errors);

    [Fact]
    public void Lists_stand_between_commas_or_under_numbers()
    {
        var (settings, _) = Read("Development", ("Cors:Origins", "https://a.example, https://b.example"), ("Proxy:TrustedNetworks:0", "10.0.0.0/8"), ("Proxy:TrustedNetworks:1", "::1/128"));
        Assert.Equal(["https://a.example", "https://b.example"], settings!.CorsOrigins);
        Assert.Equal(["10.0.0.0/8", "::1/128"], settings.TrustedNetworks.Select(n => n.ToString()));
    }

    [Fact]
    public void A_url_becomes_a_connection_string()
    {
        var (settings, _) = Read("Development", ("DATABASE_URL", "postgres://us%40er:p%3Aw%2F@db.example.com:6432/my%20db?sslmode=require&application_name=x"), ("DIRECT_URL", "postgresql://o@db.example.com/d"));
        var api = new NpgsqlConnectionStringBuilder(settings!.Api);
        Assert.Equal(("us@er", "p:w/", "db.example.com", 6432, "my db", SslMode.Require, "x"),
            (api.Username, api.Password, api.Host, api.Port, api.Database, api.SslMode, api.ApplicationName));
        Assert.Equal("o", new NpgsqlConnectionStringBuilder(settings.Owner).Username);
    }

    [Fact]
    public void The_master_key_may_stand_in_a_file()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, MasterKey + "\n");
            Assert.Equal(Convert.FromBase64String(MasterKey), Read("Development", ("Keys:MasterFile", file)).Settings!.MasterKey!.Value);
            Assert.Single(Read("Development", ("Keys:MasterFile", file), ("Keys:Master", MasterKey)).Errors);
        }
        finally
        {
            File.Delete(file);
        }
        Assert.Single(Read("Development", ("Keys:MasterFile", file)).Errors);
    }

    [Fact]
    public void A_verb_names_the_connections_it_needs()
    {
        Assert.Equal(["ConnectionStrings__NubabelOwner is required."], Settings.Read(Configuration(), "Development", Settings.OwnerConnection).Errors);
        Assert.Empty(Settings.Read(Configuration(("DIRECT_URL", "Host=x")), "Development", Settings.OwnerConnection).Errors);
    }

    [Fact]
    public void The_table_shows_every_setting_and_no_secret()
    {
        var table = Settings.Table(Configuration(("ConnectionStrings:Nubabel", "Host=x;Password=hidden"), ("Keys:Master", MasterKey), ("Limits:BodyBytes", "2048")));
        Assert.All(Settings.All, s => Assert.Contains(s.Variable, table, StringComparison.Ordinal));
        Assert.Contains("(secret, set)", table, StringComparison.Ordinal);
        Assert.Contains("2048", table, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", table, StringComparison.Ordinal);
        Assert.DoesNotContain(MasterKey, table, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", Read("Development", ("ConnectionStrings:Nubabel", "Host=x;Password=hidden")).Settings!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Defaults_fit_their_own_types()
    {
        foreach (var setting in Settings.All.Where(s => s.Type.StartsWith("whole", StringComparison.Ordinal))) Assert.Null(setting.Fault(setting.Default));
        Assert.Equal(Settings.All.Count, Settings.All.Select(s => s.Name).Distinct().Count());
    }

    [Fact]
    public void Mail_needs_a_sender_and_protects_its_password()
    {
        Assert.Equal(["Mail__From is required where Mail__Host is set."], Read("Development", ("Mail:Host", "smtp.example.com")).Errors);
        Assert.Equal(["Mail__User and Mail__Password belong together."], Read("Development", ("Mail:User", "nubabel")).Errors);
        Assert.Equal(
            ["Mail__Security must be starttls or tls where Mail__User is set, unless the mail server is on this machine."],
            Read("Development", ("Mail:Host", "smtp.example.com"), ("Mail:From", "a@b.example"), ("Mail:User", "u"), ("Mail:Password", "p"), ("Mail:Security", "none")).Errors);
        Assert.Equal(["Mail__From must be address, or name <address>."], Read("Development", ("Mail:From", "nobody")).Errors);
        var mail = Read("Development", ("Mail:LinkBase", "https://app.example.com/")).Settings!.Mail;
        Assert.Equal("https://app.example.com/password-reset#nbp.x", mail.Link("password-reset", "nbp.x"));
        Assert.Equal(587, mail.Port);
    }
}
