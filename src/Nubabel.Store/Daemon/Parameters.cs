using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>Typed parameters of the engine's own statements; many rows travel as arrays, so that a batch is one statement whatever its size.</summary>
internal static class Parameters
{
    public static void AddArray(this NpgsqlBatchCommand command, Array values, NpgsqlDbType type) =>
        command.Parameters.Add(new NpgsqlParameter { Value = values, NpgsqlDbType = NpgsqlDbType.Array | type });

    public static void Add<T>(this NpgsqlBatchCommand command, T value) => command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

    public static void AddArray(this NpgsqlCommand command, Array values, NpgsqlDbType type) =>
        command.Parameters.Add(new NpgsqlParameter { Value = values, NpgsqlDbType = NpgsqlDbType.Array | type });

    public static void Add<T>(this NpgsqlCommand command, T value) => command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value });
}
