using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>What this process serves from: the database, the keys and the clock. From it each request gets what is made for its tenant.</summary>
public sealed class Node(Database database, MasterKeys masters, RootKey root, Signal appended, TimeProvider time)
{
    /// <summary>The tenant of what belongs to no organization: operators, global flags.</summary>
    public const string Platform = "*DEFAULT*";

    public Database Database => database;

    /// <summary>Wraps keys, and can be exchanged. What is kept or handed out is derived from <see cref="Root"/>.</summary>
    public MasterKeys Masters => masters;

    /// <summary>What tokens, keyed hashes and cursors are derived from, for as long as the database lives.</summary>
    public RootKey Root => root;

    public TimeProvider Time => time;

    /// <summary>Set after each append; wakes the readers of this process.</summary>
    public Signal Appended => appended;
    public SubjectKeys Subjects { get; } = new(database, masters);
    /// <summary>For what every node keeps about all tenants, and for operators.</summary>
    public PlatformReader Everyones { get; } = new(database);

    /// <summary>For what every node adds to what is kept about all tenants beside the log.</summary>
    public PlatformWriter EveryonesWriter { get; } = new(database);

    /// <summary>The databases that organizations live on: this one alone, so far.</summary>
    public Shards Shards { get; } = new(database);

    public TenantDirectory Directory => Shards.Directory;

    /// <summary>The way into the queues.</summary>
    public Outbox Outbox { get; } = new(MessageCatalog.Types);

    public Journal Journal(string tenant, Origin origin) => new(database, Events.Types, Subjects, tenant, origin, appended.Set, time) { Outbox = Outbox };
    public Reader Reader(string tenant) => new(database, Subjects, tenant);

    /// <summary>A reader that tells whose personal values it has opened.</summary>
    public Reader Reader(string tenant, Action<IEnumerable<string>> opened) => new(database, Subjects, tenant, opened);

    /// <summary>For what is written for one tenant beside the log.</summary>
    public TenantRows Rows(string tenant) => new(database, tenant);

    /// <summary>Seals a personal value under its subject's key, for a command.</summary>
    public async ValueTask<Personal> Seal(string tenant, string subject, string plain, CancellationToken ct) =>
        new(subject, await Subjects.Seal(tenant, subject, plain, ct));

    /// <summary>Opens a personal value, for what is done with it at the edge; null when its subject is erased.</summary>
    public async ValueTask<string?> Open(string tenant, Personal value, CancellationToken ct) =>
        JsonSerializer.Deserialize<string?>((await Reader(tenant).Open(JsonSerializer.SerializeToUtf8Bytes(value, StoredJson.Options), ct)).Span);
}
