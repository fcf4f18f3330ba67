namespace Nubabel.Store;

/// <summary>One thing that is too old.</summary>
/// <param name="Id">Its name, unique within its category and tenant; no personal data.</param>
/// <param name="Person">The id of the person it is about, where it is one person's.</param>
/// <param name="At">From when its age is counted.</param>
public sealed record DueItem(string Id, string? Person, DateTimeOffset At);

/// <summary>
/// From when on something is too old, of whom, and which part of it: what dry runs, runs and the daily look through all tenants put into a category's statement.
/// </summary>
public sealed class Due
{
    private readonly string? tenant;
    private readonly string after = "";
    private readonly int most;
    private readonly DateTimeOffset latest;
    private readonly DateTimeOffset usual;
    private readonly IReadOnlyDictionary<string, DateTimeOffset> own;

    private Due(string? tenant, DateTimeOffset usual, IReadOnlyDictionary<string, DateTimeOffset> own)
    {
        (this.tenant, this.usual, this.own) = (tenant, usual, own);
        latest = own.Values.Append(usual).Max();
    }

    private Due(string tenant, DateTimeOffset upTo, string after, int most) : this(tenant, upTo, new Dictionary<string, DateTimeOffset>()) => (this.after, this.most) = (after, most);

    /// <summary>Of one tenant: what is not younger than this, and of it the next part in the order of the names.</summary>
    /// <param name="after">The last name of the part before; empty for the first.</param>
    public static Due In(string tenant, DateTimeOffset upTo, string after, int most) => new(tenant, upTo, after, most);

    /// <summary>Of all tenants, those that have times of their own by these.</summary>
    public static Due InAll(DateTimeOffset upTo, IReadOnlyDictionary<string, DateTimeOffset> own) => new(null, upTo, own);

    /// <summary>The condition of a statement: <c>where {due.Is(new Name("k.tenant_id"), new Name("k.created"))}</c>.</summary>
    /// <param name="grace">How long after the time in the column the age begins to count.</param>
    public Sql Is(Name owner, Name at, TimeSpan grace = default) => Is(owner, Sql.Of($"{at}"), grace);

    /// <summary>The same of a time that is no column.</summary>
    public Sql Is(Name owner, Sql at, TimeSpan grace = default)
    {
        if (tenant is { } one) return Sql.Of($"{owner} = {one} and {at} <= {(usual - grace).UtcDateTime}");
        if (own.Count == 0) return Sql.Of($"{at} <= {(usual - grace).UtcDateTime}");
        var (whose, times) = (own.Keys.ToArray(), own.Values.Select(t => (t - grace).UtcDateTime).ToArray());
        return Sql.Of($"""
            {at} <= {(latest - grace).UtcDateTime}
              and {at} <= coalesce((select o.upto from unnest({whose}::varchar[], {times}) o (tenant, upto) where o.tenant = {owner}), {(usual - grace).UtcDateTime})
            """);
    }

    /// <summary>
    /// The end of a statement whose things are named by a text, so that a part reads itself and not all that is due: <c>where … {due.Part(new Name("k.subject"))}</c>. It wants an index on
    /// the tenant and the name in the order of its bytes (<c>collate "C"</c>). Nothing where all tenants are looked through.
    /// </summary>
    /// <param name="begins">What all names begin with.</param>
    public Sql Part(Name id, string begins = "")
    {
        if (tenant is null) return Sql.None;
        var from = string.CompareOrdinal(after, begins) >= 0 ? after : begins;
        // The first text behind all that begin so: names are ASCII.
        var upTo = begins.Length == 0 ? Sql.None : Sql.Of($"""and {id} collate "C" < {begins[..^1] + (char)(begins[^1] + 1)}""");
        return Sql.Of($"""and {id} collate "C" > {from} {upTo} order by {id} collate "C" limit {most}""");
    }

    /// <summary>The same where they are named by a UUID; PostgreSQL orders these as their texts. It wants an index on the tenant and the id.</summary>
    public Sql PartById(Name id)
    {
        if (tenant is null) return Sql.None;
        var behind = after.Length == 0 ? Sql.None : Sql.Of($"and {id} > {Guid.ParseExact(after, "D")}");
        return Sql.Of($"{behind} order by {id} limit {most}");
    }
}

/// <summary>Makes the statement that finds what is due: its columns are <c>tenant_id, id, person, at</c>.</summary>
public delegate Sql DueStatement(Due due);

/// <summary>Reads the next part of one tenant's, in the order of their names, behind <paramref name="after"/>.</summary>
public delegate Task<IReadOnlyList<DueItem>> DueParts(DueStatement statement, DateTimeOffset upTo, string after, int most, CancellationToken ct);

/// <summary>The questions that are asked of a category's statement. There is one statement, so what a dry run finds is what a run removes.</summary>
public static class DueItems
{
    /// <summary>The tenants that have something.</summary>
    public static async Task<IReadOnlyList<string>> Tenants(PlatformReader db, DueStatement statement, Due due, CancellationToken ct) =>
        (await db.Query([Sql.Of($"select distinct d.tenant_id from ({statement(due)}) d")], row => row.GetString(0), ct))[0];

    /// <summary>With row-level security behind it.</summary>
    public static DueParts By(Reader db) => (statement, upTo, after, most, ct) => db.QueryInOrder(Page(statement, db.Tenant, upTo, after, most), Read, ct);

    /// <summary>For operators, whom row-level security does not bind.</summary>
    public static DueParts By(PlatformReader db, string tenant) => (statement, upTo, after, most, ct) => db.QueryInOrder(Page(statement, tenant, upTo, after, most), Read, ct);

    /// <summary>The next part. A statement that says nothing of parts is right as well: then all that is due is selected, and the part is cut out of it.</summary>
    internal static Sql Page(DueStatement statement, string tenant, DateTimeOffset upTo, string after, int most) => Sql.Of($"""
        select d.id, d.person, d.at from ({statement(Due.In(tenant, upTo, after, most))}) d where d.id collate "C" > {after} order by d.id collate "C" limit {most}
        """);

    internal static DueItem Read(Npgsql.NpgsqlDataReader row) => new(row.GetString(0), row.IsDBNull(1) ? null : row.GetString(1), new DateTimeOffset(row.GetDateTime(2), TimeSpan.Zero));
}

/// <summary>
/// A hash of a list that can be made longer: each name is hashed with the hash before it, from 32 zero bytes on, so that it does not matter in which parts the
/// list was gone through. A line of any other language makes it again.
/// </summary>
public static class ListHash
{
    public static byte[] Empty { get; } = new byte[32];

    public static byte[] Add(byte[] hash, IEnumerable<string> names)
    {
        foreach (var name in names) hash = System.Security.Cryptography.SHA256.HashData([.. hash, .. System.Text.Encoding.UTF8.GetBytes(name)]);
        return hash;
    }
}
