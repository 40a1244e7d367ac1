Your routes: any *.yml file here. The shipped ones are in /usr/share/monorelay/routes.d. A file of the same name here replaces
a shipped one, an empty one takes it away, any other name adds. All fields: monorelay-routes(5).

    monorelay check              what is wrong, before it counts
    systemctl reload monorelay   put it in force; a mistake changes nothing
