using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Asks again where the connection turns out to be dead. A pooled connection that has lain idle since before a restart of the database is found dead at its first
/// use only. The driver then empties its pool; until it has, another dead one may be the next, so a question has a few tries. For questions alone, and only where
/// no row has been handed on: nobody can tell whether what was written on a connection that broke has happened.
/// </summary>
public static class Again
{
    /// <summary>A dead connection is noticed at once, so they cost next to nothing.</summary>
    private const int Tries = 6;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <param name="question">Reads everything before it returns.</param>
    public static async Task<T> Ask<T>(Func<Task<T>> question)
    {
        ArgumentNullException.ThrowIfNull(question);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await question();
            }
            catch (NpgsqlException broken) when (attempt < Tries && IsBroken(broken))
            {
                // The first time the next one is most likely good.
                if (attempt > 1) await Task.Delay(Pause * attempt);
            }
        }
    }

    /// <summary>
    /// The session has ended, by the server's word or without one. A server that refuses or does not answer is none of these: to ask again would only make the wait
    /// longer.
    /// </summary>
    private static bool IsBroken(NpgsqlException e) => e is PostgresException told
        ? told.SqlState is PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.IdleSessionTimeout
        : e.InnerException is IOException;
}
