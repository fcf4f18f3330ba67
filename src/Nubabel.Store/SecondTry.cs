using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Asks once more where the connection turns out to be dead. A pooled connection that has lain idle since before a restart of the database is found dead at
/// its first use only; the driver then empties its pool, so the second question goes out on a new connection. For questions alone, and only where no row has
/// been handed on: nobody can tell whether what was written on a connection that broke has happened.
/// </summary>
public static class SecondTry
{
    /// <param name="ask">Reads everything before it returns.</param>
    public static async Task<T> Of<T>(Func<Task<T>> ask)
    {
        ArgumentNullException.ThrowIfNull(ask);
        try
        {
            return await ask();
        }
        catch (NpgsqlException broken) when (IsBroken(broken))
        {
            return await ask();
        }
    }

    /// <summary>
    /// The session has ended, by the server's word or without one. A server that refuses or does not answer is none of these: the second question would only
    /// double the wait.
    /// </summary>
    private static bool IsBroken(NpgsqlException e) => e is PostgresException told
        ? told.SqlState is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown
            or PostgresErrorCodes.IdleSessionTimeout
        : e.InnerException is IOException;
}
