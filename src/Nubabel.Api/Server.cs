using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;
using Nubabel.Api.ApiKeys;
using Nubabel.Api.Attempts;
using Nubabel.Api.Audit;
using Nubabel.Api.Commands;
using Nubabel.Api.Consumers;
using Nubabel.Api.DataExports;
using Nubabel.Api.Devices;
using Nubabel.Api.Erasures;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Rates;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Invitations;
using Nubabel.Api.Jobs;
using Nubabel.Api.LegalHolds;
using Nubabel.Api.Members;
using Nubabel.Api.Messages;
using Nubabel.Api.Operations;
using Nubabel.Api.Operators;
using Nubabel.Api.Organizations;
using Nubabel.Api.Projections;
using Nubabel.Api.Reads;
using Nubabel.Api.Retention;
using Nubabel.Api.Sessions;
using Nubabel.Api.Users;
using Nubabel.Api.Webhooks;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api;

/// <summary>The server: what it is made of, in the order in which it comes to life. The table of contents of this project.</summary>
public static partial class Server
{
    public static async Task<int> Run(CancellationToken ct)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        // The configuration is read once; a watch on the working directory would wake for every file that is written there, a log among them.
        await using var app = await Build(WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = ["--hostBuilder:reloadConfigOnChange=false"] }), ct);
        var operatorFile = await FirstOperatorFile(app, ct);
        await app.StartAsync(ct);
        Announce(app, operatorFile);
        await app.WaitForShutdownAsync(ct);
        return 0;
    }

    /// <summary>A server that is ready to start: the schema is checked, the keys are there, the routes are mapped.</summary>
    /// <param name="time">The node's clock: the system's unless a test moves it.</param>
    /// <exception cref="BadSettings">The configuration has faults.</exception>
    public static async Task<WebApplication> Build(WebApplicationBuilder builder, CancellationToken ct, TimeProvider? time = null)
    {
        var (read, errors) = Settings.Read(builder.Configuration, builder.Environment.EnvironmentName, Settings.ApiConnection, Settings.DaemonConnection);
        var settings = read ?? throw new BadSettings(errors);
        builder.WebHost.UseKestrelHttpsConfiguration();
        var masters = MasterKeyFile.Of(settings);
        var database = Database.Open(settings.Shard, settings.Api!, settings.DaemonLogin!, settings.RememberedBytes);
        var root = await Prepare(settings, database, masters, ct);

        var node = new Node(database, masters, root, new Signal(), time ?? TimeProvider.System);
        var keys = new SigningKeys(database, masters, node.Time);
        await keys.Ensure(ct);
        builder.AddEdge(settings);
        // Behind the edge, whose configuration source makes all others read again: what was only set here would be gone.
        if (builder.Configuration["URLS"] is null && builder.Configuration["ASPNETCORE_URLS"] is null) builder.WebHost.UseUrls([.. settings.Addresses]);
        Services(builder.Services, node, keys, settings);

        var app = builder.Build();
        app.UseEdge();
        app.Use(app.Services.GetRequiredService<LedgerReplay>().Invoke);
        var limits = app.Services.GetRequiredService<RateLimits>();
        app.Use(limits.Invoke);
        app.Use(app.Services.GetRequiredService<RefusedAttempts>().Invoke);
        app.UseAuthentication(
            app.Services.GetRequiredService<AccessTokens>(), app.Services.GetRequiredService<ApiKeyCheck>(), app.Services.GetRequiredService<RevokedSessions>(), app.Services.GetRequiredService<Standings>(), limits);
        app.UseStrictRoutes();
        app.Use(app.Services.GetRequiredService<Idempotency>().Invoke);
        app.Use(app.Services.GetRequiredService<ReadRecord>().Rest);
        Routes(app);
        return app;
    }

    private static void Services(IServiceCollection services, Node node, SigningKeys keys, Settings settings)
    {
        services.AddHttpContextAccessor();
        // The drain of the messages, and what is written after it.
        services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(45));
        services.AddSingleton(node);
        services.AddSingleton(node.Time);
        services.AddSingleton(keys);
        services.AddSingleton(new Cursors(node.Root.Derive("cursor")));
        services.AddSingleton<Idempotency>();
        services.AddSingleton<UnreadableEvents>();
        services.AddSingleton<Evaluation>();
        services.AddSingleton<DeviceNames>();
        Access(services, node);
        Retention(services);
        Engine(services, node, settings);
        services.AddErasures();
        Beside(services, node, settings);
        services.AddRegisters();

        services.AddScoped<RequestScope>();
        services.AddScoped(sp => sp.GetRequiredService<RequestScope>().Caller);
        services.AddScoped(sp => sp.GetRequiredService<RequestScope>().Journal);
        services.AddScoped(sp => sp.GetRequiredService<RequestScope>().Reader);
        services.AddScoped(sp => sp.GetRequiredService<RequestScope>().Ids);
        services.AddScoped<Answers>();
        services.AddScoped<JobStarts>();
        services.AddScoped<HoldActs>();
        services.AddScoped<Freshness>();
    }

    /// <summary>Who gets in, and how often.</summary>
    private static void Access(IServiceCollection services, Node node)
    {
        services.AddSingleton(new RefreshTokens(node.Root));
        services.AddSingleton(new InvitationTokens(node.Root));
        services.AddSingleton(new ApiKeyTexts(node.Root));
        services.AddSingleton<AccessTokens>();
        services.AddSingleton<ApiKeyCheck>();
        services.TryAddSingleton(new Passwords());
        services.AddSingleton<SignIns>();
        services.AddSingleton<Refreshes>();
        services.AddSingleton<LiveSessions>();
        services.AddSingleton<LockOut>();
        services.AddSingleton<PasswordResets>();
        services.AddSingleton<InvitationMail>();
        services.AddSingleton<RevokedSessions>();
        services.AddSingleton<Standings>();
        services.AddSingleton<RateLimits>();
        services.AddSingleton(new WebhookKeys(node.Root));
        services.AddSingleton<Intake>();
        services.AddSingleton<ReadRecord>();
        services.AddSingleton<TrailExports>();
    }

    private static void Engine(IServiceCollection services, Node node, Settings settings)
    {
        var projections = ReadModels.All.With(MessageCatalog.Reactions(node.Outbox));
        services.AddSingleton(projections);
        services.AddSingleton(new Store.Positions(node.Database.Api, projections));
        services.AddSingleton(sp => new KeyWatch(settings.DaemonLogin!, node.Subjects, sp.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Keys")));
        services.AddSingleton(sp => new ProjectionDaemon(
            node.Database.Daemon, settings.DaemonLogin!, projections, node.Appended, sp.GetRequiredService<Store.Positions>(),
            new DaemonOptions { Rebuilds = new RebuildOptions { Told = RebuildEvents.By(node) } }, log: sp.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Daemon")));
        services.AddSingleton(sp => new Tail(
            node.Database.Daemon, Events.Types, node.Appended, [sp.GetRequiredService<RevokedSessions>(), sp.GetRequiredService<Standings>(), sp.GetRequiredService<Evaluation>(), sp.GetRequiredService<RunningJobs>()],
            log: sp.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Tail"), moved: node.Database.ForgetStreams));
        services.AddSingleton<ProjectionActs>();
        services.AddSingleton<LetterActs>();
        services.AddSingleton<RunningJobs>();
        services.AddSingleton<JobRunner>();
        // What each kind of job does.
        services.AddSingleton<ExportBundles>();
        services.AddSingleton<Replays>();
        services.TryAddSingleton(sp => JobCatalog.Handlers(sp));
        // Here a product names who handles which provider's webhooks.
        services.TryAddSingleton(new WebhookHandlers());
        services.AddSingleton<Inbox>();
        services.AddSingleton(sp => new MessageHandlers(node.Outbox.Types)
            .On<Mailing>(sp.GetRequiredService<Post>().Deliver)
            .On<ResetWish>(sp.GetRequiredService<PasswordResets>().Handle)
            .On<LetterOrder>(sp.GetRequiredService<LetterActs>().Handle)
            .On<SweepOrder>(sp.GetRequiredService<LetterActs>().Handle)
            .On<ErasureOrder>(sp.GetRequiredService<Erasures.Erasures>().Handle)
            .On<JobMessage>(sp.GetRequiredService<JobRunner>().Run, JobRunner.GivenUp)
            .On<LongJobMessage>(sp.GetRequiredService<JobRunner>().Run, JobRunner.GivenUp)
            .On<JobGivenUp>(sp.GetRequiredService<JobRunner>().GiveUp)
            .On<WaitingWebhook>(sp.GetRequiredService<Inbox>().Handle)
            .On<EventDelivery>(sp.GetRequiredService<Deliveries>().Deliver)
            .On<RetentionTick>(sp.GetRequiredService<RetentionRuns>().Look)
            .OnRegisters(sp));
        services.AddSingleton(sp => new MessageDaemon(
            node.Database.Daemon, settings.DaemonLogin!, sp.GetRequiredService<MessageHandlers>(), node.Outbox, node.Journal,
            new MessageOptions { DeadLetterDays = null }, sp.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Messages"),
            recurring: [RetentionRuns.Schedule]));
        services.AddSingleton(sp => new MessageWatch(node.Database.Daemon, node.Outbox.Types, settings.StalledAfter, sp.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Messages")));
        services.AddSingleton(new ChainKeys(node.Database.Daemon, node.Masters));
        services.AddSingleton(sp => new ChainKeeper(node.Database.Daemon, sp.GetRequiredService<ChainKeys>(),
            new ChainOptions { Issuer = settings.Issuer, Published = Checkpoints.Log(sp.GetRequiredService<ILoggerFactory>()) }, sp.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Audit")));
        services.AddSingleton<Readiness>();
        services.AddSingleton(sp => new Exchange(sp.GetRequiredService<RateLimits>(), settings.DaemonLogin!, sp.GetRequiredService<ILogger<Exchange>>()));
    }

    /// <summary>What is kept, and for how long.</summary>
    private static void Retention(IServiceCollection services)
    {
        services.AddSingleton<Holds>();
        services.AddSingleton<RetentionRuns>();
        services.AddSingleton<RetentionSweep>();
        services.AddSingleton<RetentionPolicies>();
        services.AddSingleton<PolicyActs>();
        services.AddSingleton<AgedAccounts>();
        // Here a product adds categories of its own.
        services.TryAddSingleton(sp => RetentionCatalog.All(sp));
    }

    /// <summary>What runs beside requests. It is stopped in the opposite order.</summary>
    private static void Beside(IServiceCollection services, Node node, Settings settings)
    {
        services.TryAddSingleton<ICarrier>(
            settings.Mail.Host is not null ? new SmtpCarrier(settings.Mail) : settings.IsDevelopment ? new FileCarrier(Path.Combine(settings.DataDirectory, "mail"), node.Time) : new NoCarrier());
        services.AddSingleton(sp => new Post(node, settings.Mail, sp.GetRequiredService<ICarrier>(), sp.GetRequiredService<ILogger<Post>>()));
        services.TryAddSingleton<NameLookup>(Dns.GetHostAddressesAsync);
        services.AddSingleton<EndpointGuard>();
        services.AddSingleton<EndpointClient>();
        services.AddSingleton<Deliveries>();
        Run<Chores>();
        services.AddHostedService<Background>();
        Run<Closures>();
        Run<LastUses>();
        Run<ExportExpiry>();
        Run<EvaluationFlush>();
        Run<RefusedAttempts>();

        void Run<T>() where T : class, IHostedService
        {
            services.AddSingleton<T>();
            services.AddHostedService(sp => sp.GetRequiredService<T>());
        }
    }

    private static void Routes(WebApplication web)
    {
        var app = web.MapGroup("");
        // Around every route, so that none shows personal data of others in silence.
        app.AddEndpointFilter(web.Services.GetRequiredService<ReadRecord>().Invoke);
        app.MapOrganizations();
        app.MapTenants();
        app.MapUsers();
        app.MapAccountErasure();
        app.MapPasswords();
        app.MapMembers();
        app.MapInvitations();
        app.MapSessions();
        app.MapDataExports();
        app.MapDevices();
        app.MapApiKeys();
        app.MapWebhooks();
        app.MapWebhookSources();
        app.MapConsumers();
        app.MapDeliveries();
        app.MapFlags();
        app.MapFlagAdmin();
        app.MapLegalHolds();
        app.MapRetention();
        app.MapJobs();
        app.MapAudit();
        app.MapAuditAdmin();
        app.MapChain();
        app.MapPermissions();
        app.MapOperators();
        app.MapOperatorJobs();
        app.MapErasures();
        app.MapOperatorHolds();
        app.MapOperatorRetention();
        app.MapAdmin();
        app.MapNodes();
        app.MapCircuitBreakers();
        app.MapProjections();
        app.MapParked();
        app.MapRebuilds();
        app.MapMessages();
        app.MapDeadLetters();
        app.MapLetterSweeps();
        app.MapRegisters();
        app.MapHealth();
        app.MapDocument();
    }

    /// <summary>Brings schema, logins and stamps into a state that may be served, or says in one sentence why not.</summary>
    private static async Task<RootKey> Prepare(Settings settings, Database database, MasterKeys masters, CancellationToken ct)
    {
        if (!Domain.Text.IsNormalising)
            throw new BadSettings(["ICU is missing, so names cannot be compared. Install libicu, and unset DOTNET_SYSTEM_GLOBALIZATION_INVARIANT."]);
        await Answering(database, ct);
        if (settings is { IsDevelopment: true, Owner: { } ownerString })
        {
            await using var owner = NpgsqlDataSource.Create(ownerString);
            await Schema.Migrate(owner, Configured.Login(settings.Api!), Configured.Login(settings.DaemonLogin!), ct);
        }
        Migrations.Refuse(await Migrations.Status(database.Daemon, ct), complete: true);
        await Logins.Check(database, ct);
        var root = await Stamps.Check(database.Daemon, settings.EnvironmentStamp, masters, ct);
        await MissingKeys.Refuse(database.Daemon, ct);
        return root;
    }
}
