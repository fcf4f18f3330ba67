using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>A type that a declared column may have: its name in PostgreSQL, whether null is allowed, and how values travel as an array.</summary>
internal sealed record ColumnType(string Sql, bool Nullable, NpgsqlDbType DbType, Func<IReadOnlyList<object?>, Array> ToArray)
{
    private static readonly Dictionary<Type, ColumnType> Known = new()
    {
        [typeof(string)] = new("character varying", true, NpgsqlDbType.Varchar, v => v.Select(x => (string?)x).ToArray()),
        [typeof(Guid)] = new("uuid", false, NpgsqlDbType.Uuid, v => v.Select(x => (Guid?)x).ToArray()),
        [typeof(long)] = new("bigint", false, NpgsqlDbType.Bigint, v => v.Select(x => (long?)x).ToArray()),
        [typeof(int)] = new("integer", false, NpgsqlDbType.Integer, v => v.Select(x => (int?)x).ToArray()),
        [typeof(bool)] = new("boolean", false, NpgsqlDbType.Boolean, v => v.Select(x => (bool?)x).ToArray()),
        // The driver takes instants in UTC only.
        [typeof(DateTimeOffset)] = new("timestamp with time zone", false, NpgsqlDbType.TimestampTz,
            v => v.Select(x => ((DateTimeOffset?)x)?.ToUniversalTime()).ToArray()),
    };

    public static ColumnType Of(Column column)
    {
        var underlying = System.Nullable.GetUnderlyingType(column.Type);
        if (!Known.TryGetValue(underlying ?? column.Type, out var type))
            throw new InvalidOperationException($"Column {column.Name} is a {column.Type.Name}, which no read model's column may be.");
        return underlying is null ? type : type with { Nullable = true };
    }
}
